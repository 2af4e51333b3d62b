// Chapter 2: number formats and int8.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch02_number_formats_and_int8",
                  "Number formats and int8: bits of FP32, FP16 and BF16, absmax rows, LLM.int8().");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter02::tell(); },
                [](Ledger& ledger) { chapter02::fill_claims(ledger); }, chapter02::draw},
               lesson);
  });
  return run(argc, argv, options);
}

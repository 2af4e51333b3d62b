// Chapter 5: LoRA's two matrices. The executable is the lesson.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch05_lora_decomposition",
                  "LoRA: a change of a large matrix as the product of two small ones.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter05::tell(); },
                [](Ledger& ledger) { chapter05::fill_claims(ledger); }, chapter05::draw},
               lesson);
  });
  return run(argc, argv, options);
}

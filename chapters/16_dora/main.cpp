// Chapter 16: DoRA and rsLoRA. The executable is the lesson.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch16_dora",
                  "DoRA: lengths and directions of a weight's rows; rsLoRA's scaling.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter16::tell(); },
                [](Ledger& ledger) { chapter16::fill_claims(ledger); }, chapter16::draw},
               lesson);
  });
  return run(argc, argv, options);
}

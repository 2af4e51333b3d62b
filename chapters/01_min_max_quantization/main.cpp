// Chapter 1: min-max quantization.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch01_min_max_quantization",
                  "Min-max quantization: scale, zero point, calibration, a network in integers.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter01::tell(); },
                [](Ledger& ledger) { chapter01::fill_claims(ledger); }, chapter01::draw},
               lesson);
  });
  return run(argc, argv, options);
}

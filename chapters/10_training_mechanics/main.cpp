// Chapter 10: a training step, part by part. The executable is the lesson.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch10_training_mechanics",
                  "A training step: loss, backward, AdamW, schedules, clipping, memory.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter10::tell(); },
                [](Ledger& ledger) { chapter10::fill_claims(ledger); }, chapter10::draw},
               lesson);
  });
  return run(argc, argv, options);
}

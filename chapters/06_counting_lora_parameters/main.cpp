// Chapter 6: counting. Without a verb the lesson; count is the tool.
#include "claims.h"
#include "count.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch06_counting_lora_parameters",
                  "How many parameters LoRA trains: every table of the course, and any model.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, chapter06::tell,
                [](Ledger& ledger) { chapter06::fill_claims(ledger); }, chapter06::draw},
               lesson);
  });

  chapter06::CountOptions c;
  Options& count = options.verb(
      "count", "What PEFT's print_trainable_parameters prints, from a model's config.json alone.");
  add_count_options(count, c);
  count.action([&] { run_count(c); });
  return run(argc, argv, options);
}

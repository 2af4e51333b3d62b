// Chapter 9: what a model takes in memory. Without a verb the lesson; plan is the tool.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"
#include "plan.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch09_memory_footprint",
                  "What a run takes in memory, and the least time of its step.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter09::tell(); },
                [](Ledger& ledger) { chapter09::fill_claims(ledger); }, chapter09::draw},
               lesson);
  });

  chapter09::PlanOptions p;
  Options& plan = options.verb(
      "plan", "What `train` with these options would need, from the model's config.json alone.");
  chapter09::add_plan_options(plan, p);
  plan.action([&] { chapter09::run_plan(p); });
  return run(argc, argv, options);
}

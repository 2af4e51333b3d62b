// Chapter 9: what a model takes in memory. `plan` is the tool.
#include "course/run.h"
#include "plan.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch09_memory_footprint",
                  "What a run takes in memory, and the least time of its step.");
  chapter09::PlanOptions embedded;  // the main job's run
  embedded.model.model = data_folder() + "/tiny-llama";
  embedded.training.lora.r = 32;
  embedded.training.target_modules = "all-linear";
  embedded.training.arguments.per_device_train_batch_size = 16;
  embedded.training.max_length = 64;
  options.add("--json", embedded.json, "write the plan there").value_name("FILE");
  options.action([&] { chapter09::run_plan(embedded); });

  chapter09::PlanOptions p;
  Options& plan = options.verb(
      "plan", "What `train` with these options would need, from the model's config.json alone.");
  chapter09::add_plan_options(plan, p);
  plan.action([&] { chapter09::run_plan(p); });
  return run(argc, argv, options);
}

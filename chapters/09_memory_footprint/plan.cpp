#include "plan.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/error.h"
#include "core/parallel.h"
#include "course/provenance.h"
#include "course/table.h"
#include "llama/memory_plan.h"
#include "ops/device_memory.h"
#include "support/planning.h"
#include "training/step_floor.h"

namespace qlora::chapter09 {
namespace {

// The cards of gpu_rates(), by the words that --card takes.
constexpr const char* kH100 = "h100-80gb";

// What a device can do, and where that is known from.
struct Speed {
  std::optional<DeviceRates> rates;
  std::string source;  // behind "at the rates of", or why there are none
};

Speed speed_of(const PlanOptions& o, const TrainingShape& shape) {
  if (!o.rates.empty()) {
    if (o.rates.size() != 4 || !(o.rates[0] > 0 && o.rates[1] > 0 && o.rates[2] > 0) ||
        o.rates[3] < 0) {
      throw UsageError(
          "--rates must be four numbers: TFLOP/s of products, of attention forward and of "
          "attention "
          "backward, and TB/s of a copy, e.g. 725,501,347,3.0");
    }
    return {DeviceRates{o.rates[0] * 1e12, o.rates[1] * 1e12, o.rates[2] * 1e12, o.rates[3] * 1e12},
            "--rates"};
  }
  if (shape.device == Device::cpu) {
    const int threads = thread_count();
    return {cpu_rates(threads), fmt::format("{} core{} of a Xeon with AVX2, arithmetic alone",
                                            threads, threads == 1 ? "" : "s")};
  }
  std::string name = o.card == kH100 ? "NVIDIA H100 80GB HBM3" : "";
  if (name.empty() && ops::has_gpu()) name = ops::gpu_name();
  if (name.empty()) return {std::nullopt, "a GPU that is not here"};
  return {gpu_rates(name, shape.arithmetic),
          name + " in " + std::string(python_name(shape.arithmetic))};
}

// The bytes that a run may take: --max-memory, or what the device has.
struct Limit {
  std::optional<std::int64_t> bytes;
  std::string source;
};

Limit limit_of(const TrainingOptions& training, Device device) {
  constexpr std::int64_t kContext = std::int64_t{512} << 20;  // what CUDA takes for itself
  if (training.memory_limit) return {training.memory_limit, "--max-memory"};
  if (device == Device::cpu) {
    return {std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE), "the machine's memory"};
  }
  if (!ops::has_gpu()) return {};
  return {ops::gpu_memory() - kContext, "the GPU's memory less 512 MiB for CUDA itself"};
}

std::string mebibytes(std::int64_t bytes) {
  return fmt::format("{:.1f}", static_cast<double>(bytes) / (1 << 20));
}

double share(std::int64_t part, std::int64_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

Json print_memory(const TrainingShape& shape, const MemoryPlan& plan) {
  Table table({"memory", "MiB", "%", "MiB at another moment"}, "lrrr");
  Json rows = Json::array();
  for (const MemoryPart& part : plan.parts) {
    const bool elsewhere = part.most > part.bytes;
    table.add({part.name, part.bytes > 0 ? mebibytes(part.bytes) : "",
               part.bytes > 0 ? fmt::format("{:.1f}", share(part.bytes, plan.total())) : "",
               elsewhere ? mebibytes(part.most) : ""});
    Json row = Json::object();
    row["name"] = part.name;
    row["bytes"] = part.bytes;
    row["most"] = part.most;
    rows.push_back(std::move(row));
  }
  table.rule();
  table.add({"together", mebibytes(plan.total()), "100.0"});
  fmt::print("{}", table.text());
  fmt::print("{} on the {}; the largest moment: {}\n", readable_bytes(plan.total()),
             shape.device == Device::cuda ? "GPU" : "CPU",
             plan.moment == "backward" ? "the backward pass of a layer"
             : plan.moment == "head"   ? "the head's cross-entropy"
                                       : "the forward pass");
  if (plan.pinned > 0) fmt::print("and {} of the host's memory\n", readable_bytes(plan.pinned));
  Json j = Json::object();
  j["parts"] = std::move(rows);
  j["program"] = plan.program;
  j["resident"] = plan.resident;
  j["arena"] = plan.arena;
  j["pinned_on_host"] = plan.pinned;
  j["total"] = plan.total();
  j["largest_moment"] = plan.moment;
  return j;
}

Json print_floor(const TrainingShape& shape, const Speed& speed) {
  const std::vector<StepCost> costs = step_costs(shape);
  Table table({"least work of a step", "GFLOP", "GB", "ms"}, "lrrr");
  Json rows = Json::array();
  for (const StepCost& cost : costs) {
    const std::string amount = fmt::format("{:.2f}", cost.amount / 1e9);
    const bool bytes = cost.bound == Bound::bytes;
    table.add({cost.name, bytes ? "" : amount, bytes ? amount : "",
               speed.rates ? fmt::format("{:.2f}", 1e3 * seconds_of(cost, *speed.rates)) : ""});
    Json row = Json::object();
    row["name"] = cost.name;
    row[bytes ? "bytes" : "flops"] = cost.amount;
    rows.push_back(std::move(row));
  }
  Json j = Json::object();
  j["parts"] = std::move(rows);
  j["flops"] = flops_of(costs);
  if (!speed.rates) {
    fmt::print("\n{}no rates are known of {}: --rates gives them, --card takes another's\n",
               table.text(), speed.source);
    return j;
  }
  const double seconds = step_floor(costs, *speed.rates);
  const double tokens = static_cast<double>(shape.rows()) / seconds;
  table.rule();
  table.add({"together", fmt::format("{:.2f}", flops_of(costs) / 1e9), "",
             fmt::format("{:.2f}", 1e3 * seconds)});
  fmt::print("\n{}floor: {:.0f} tokens/s, at the rates of {}\n", table.text(), tokens,
             speed.source);
  j["seconds"] = seconds;
  j["tokens_per_second"] = tokens;
  j["rates_of"] = speed.source;
  return j;
}

Json print_fits(const TrainingShape& shape, const Limit& limit, const Speed& speed) {
  Json rows = Json::array();
  if (!limit.bytes) {
    fmt::print("\nwhat fits: --max-memory SIZE says it for a GPU that is not here\n");
    return rows;
  }
  fmt::print("\nin {} ({}), {} tokens a row:\n", readable_bytes(*limit.bytes), limit.source,
             grouped(shape.T));
  Table table({"--activations", "largest batch", "memory", "floor, tokens/s"}, "lrrr");
  for (const FittingBatch& fit : what_fits(shape, *limit.bytes)) {
    TrainingShape s = shape;
    s.activations = fit.policy;
    s.B = std::max<std::int64_t>(1, fit.B);
    const double tokens =
        speed.rates ? static_cast<double>(s.rows()) / step_floor(step_costs(s), *speed.rates) : 0;
    table.add({std::string(to_string(fit.policy)), fit.B > 0 ? grouped(fit.B) : "none",
               (fit.B > 0 ? "" : "a row: ") + readable_bytes(fit.bytes),
               fit.B > 0 && speed.rates ? fmt::format("{:.0f}", tokens) : ""});
    Json row = Json::object();
    row["activations"] = std::string(to_string(fit.policy));
    row["largest_batch"] = fit.B;
    row["bytes"] = fit.bytes;
    rows.push_back(std::move(row));
  }
  fmt::print("{}", table.text());
  return rows;
}

}  // namespace

void add_plan_options(Options& verb, PlanOptions& o) {
  add_model_options(verb, o.model);
  add_bitsandbytes_options(verb, o.model);
  add_training_options(verb, o.training);
  verb.add("--card", o.card, "plan for this GPU instead of the one that is there").choices({kH100});
  verb.add("--rates", o.rates,
           "of the device: TFLOP/s of products, of attention forward, of attention backward, and "
           "TB/s of a copy (0: bytes are not counted)")
      .comma_separated()
      .value_name("P,F,B,C");
  verb.add("--json", o.json, "write the plan there").value_name("FILE");
}

void run_plan(PlanOptions& o) {
  settle(o.model);
  settle(o.training);
  const TrainingShape shape = training_shape(o.model, o.training);
  const Speed speed = speed_of(o, shape);
  const MemoryPlan plan = training_memory(shape);
  fmt::print("{}: {} parameters\n", o.model.model.empty() ? o.model.random_model : o.model.model,
             grouped(shape.config.parameter_count()));
  fmt::print("linear layers in {}, arithmetic in {}\n", base_format(shape),
             python_name(shape.arithmetic));
  fmt::print("{} x {} tokens, r={}, --activations {}\n\n", grouped(shape.B), grouped(shape.T),
             shape.lora.r, to_string(shape.activations));
  const Limit limit = limit_of(o.training, shape.device);
  Json j = Json::object();
  j["memory"] = print_memory(shape, plan);
  j["floor"] = print_floor(shape, speed);
  j["fits"] = print_fits(shape, limit, speed);
  if (limit.bytes) j["limit"] = *limit.bytes;
  write_results(o.json, std::move(j));
  if (o.training.memory_limit) require_memory(shape, *o.training.memory_limit);
}

}  // namespace qlora::chapter09

#include "count.h"

#include <fmt/format.h>

#include "core/dtype.h"
#include "core/error.h"
#include "course/provenance.h"
#include "course/table.h"
#include "llama/load.h"
#include "llama/shapes.h"
#include "lora/target_modules.h"

namespace qlora::chapter06 {
namespace {

constexpr double kMostRank = 1 << 20;  // no product of sizes overflows

ModelShapes shapes_of(const CountOptions& o) {
  if (o.model.empty() == o.random_model.empty()) {
    throw UsageError("one of --model DIR and --random-model NAME is needed");
  }
  if (o.model.empty()) return model_shapes(to_json(named_config(o.random_model)));
  return model_shapes(Json::read(o.model + "/config.json"));
}

// The adapters of one kind of module, in whatever layers they are.
struct Kind {
  const LinearShape* linear;
  std::int64_t modules = 0, parameters = 0;
};

// The magnitudes of DoRA, which scale the outputs.
std::int64_t magnitudes(const CountOptions& o, const AdapterShape& a) {
  return o.use_dora ? a.linear.N : 0;
}

std::vector<Kind> by_kind(const CountOptions& o, const ModelShapes& model,
                          const std::vector<AdapterShape>& adapters) {
  std::vector<Kind> kinds;
  for (const LinearShape& linear : model.layer) {
    Kind kind{&linear};
    for (const AdapterShape& a : adapters) {
      if (!a.linear.name.ends_with("." + linear.name)) continue;
      ++kind.modules;
      kind.parameters += lora_parameters(a.linear, a.R) + magnitudes(o, a);
    }
    if (kind.modules > 0) kinds.push_back(kind);
  }
  return kinds;
}

}  // namespace

void add_count_options(Options& verb, CountOptions& o) {
  verb.add("--model", o.model, "a Hugging Face model folder; its config.json is enough")
      .value_name("DIR");
  verb.add("--random-model", o.random_model, "a published shape instead").choices(named_models());
  verb.add("--r", o.r, "rank of the adapters").alias("--lora-r").must("be 1 to 2^20", [](double r) {
    return r >= 1 && r <= kMostRank;
  });
  verb.add("--target-modules", o.target_modules,
           "a comma list, all-linear, or a regular expression for whole names")
      .comma_separated();
  verb.add("--use-dora", o.use_dora, "count DoRA's magnitudes, one an output (chapter 16)");
  verb.add("--json", o.json, "write the counts there").value_name("FILE");
}

void run_count(const CountOptions& o) {
  LoraConfig config;
  config.r = o.r;
  config.target_modules = names_or_pattern(o.target_modules);
  const ModelShapes model = shapes_of(o);
  const std::vector<AdapterShape> adapters =
      adapter_shapes(config, stacked(model.layer, model.layers));
  TrainableParameters count = count_trainable(adapters, model.parameters);
  for (const AdapterShape& a : adapters) {
    count.trainable += magnitudes(o, a);
    count.all += magnitudes(o, a);
  }

  Table table({"module", "W (N x K)", "A", "B", "modules", "parameters"}, "lrrrrr");
  Json rows = Json::array();
  for (const Kind& kind : by_kind(o, model, adapters)) {
    const auto& [name, K, N] = *kind.linear;
    table.add({name, fmt::format("{} x {}", N, K), fmt::format("{} x {}", o.r, K),
               fmt::format("{} x {}", N, o.r), grouped(kind.modules), grouped(kind.parameters)});
    Json row = Json::object();
    row["module"] = name;
    row["modules"] = kind.modules;
    row["parameters"] = kind.parameters;
    rows.push_back(std::move(row));
  }
  const auto megabytes = [&](DType dtype) {
    return static_cast<double>(count.trainable) * static_cast<double>(size_of(dtype)) / 1e6;
  };
  fmt::print("{}\n", table.text());
  fmt::print("saved: {:.1f} MB in float32, {:.1f} MB in 16 bits\n", megabytes(DType::f32),
             megabytes(DType::bf16));
  fmt::print("{}\n", trainable_line(count));

  Json j = Json::object();
  j["model_type"] = model.model_type;
  j["r"] = o.r;
  j["trainable"] = count.trainable;
  j["all"] = count.all;
  j["percent"] = trainable_percentage(count);
  j["modules"] = std::move(rows);
  write_results(o.json, std::move(j));
}

}  // namespace qlora::chapter06

#include "experiments.h"

#include <fmt/format.h>

#include <functional>
#include <memory>

#include "llama/adapters.h"
#include "llama/load.h"
#include "support/model_options.h"

namespace qlora::chapter12 {
namespace {

using Names = std::vector<std::string>;

// What the runs of an experiment share; read once.
struct Bench {
  std::string folder;
  PriceRun run;
  Placement placement;
  PriceData data;

  explicit Bench(const ExperimentCommand& c)
      : folder(c.model.empty() ? data_folder() + "/tiny-llama" : c.model),
        run(c.run),
        placement(placement_of(c.run)),
        data(read_price_data(folder, "", c.run.test_items)) {
    if (Json::read(folder + "/config.json").find("quantization_config") == nullptr) return;
    throw BadInput(folder + "/config.json", "quantization_config",
                   "is there: an experiment quantizes the base itself, and needs it in 16 bits");
  }

  // The base in a format of --quantize; nf4 with or without double quantization.
  LlamaModel base(const std::string& format, bool double_quant = false) const {
    LoadOptions options;
    if (format == "nf4") options.quantize = QuantType::nf4;
    if (format == "fp4") options.quantize = QuantType::fp4;
    options.int8 = format == "int8";
    options.dequantize = format == "none";
    options.double_quant = double_quant;
    options.placement = placement;
    return load_model(folder, options);
  }
  LlamaModel nf4() const { return base("nf4", true); }

  // The same shape with weights that have learned nothing.
  LlamaModel random(std::uint64_t seed) const {
    LlamaModel model = random_model(base("none").config, seed);
    quantize_base(model, QuantType::nf4, true, DType::bf16);
    return placed(placement, model);
  }
};

double parameters_of(const LlamaModel& model) {
  double sum = 0;
  for (const Parameter& p : adapter_parameters(model)) {
    sum += static_cast<double>(p.value.numel());
  }
  return sum;
}

// Megabytes of the decoder's linear layers; dense ones count 16 bits a weight, as they are stored.
double base_megabytes(const LlamaModel& model) {
  double bytes = 0;
  model.for_each_projection([&](const LinearGroup& group, const Projection& p) {
    if (p.quantized) {
      bytes += static_cast<double>(p.quantized->nbytes());
    } else if (p.int8) {
      bytes += static_cast<double>(p.int8->codes.nbytes() + p.int8->absmax.nbytes());
    } else {
      bytes += 2.0 * static_cast<double>(p.N * group.K);
    }
  });
  return bytes / 1e6;
}

// Attaches adapters to a base and trains them. @return whether the loss stayed finite
bool tune(const Bench& bench, LlamaModel& model, const LoraConfig& lora, double learning_rate,
          std::uint64_t seed) {
  attach_lora(model, lora, seed);
  PriceRun run = bench.run;
  run.seed = static_cast<std::int64_t>(seed);
  run.learning_rate = learning_rate;
  return tune_on_prices("train", model, adapter_parameters(model), price_arguments(run),
                        bench.data);
}

using SharedBench = std::shared_ptr<const Bench>;

// A variant that tunes the base in NF4 with these adapters.
Variant with_adapters(const std::string& name, const SharedBench& bench, const LoraConfig& lora) {
  return {name, [=](std::uint64_t seed) {
            LlamaModel model = bench->nf4();
            const bool done = tune(*bench, model, lora, bench->run.learning_rate, seed);
            auto figures = price_figures("test", model, bench->data, seed, done);
            figures.push_back({"trained", parameters_of(model)});
            return figures;
          }};
}

// A variant that tunes another base with the main job's adapters.
Variant with_base(const std::string& name, const SharedBench& bench,
                  const std::function<LlamaModel(std::uint64_t)>& base) {
  return {name, [=](std::uint64_t seed) {
            LlamaModel model = base(seed);
            const double megabytes = base_megabytes(model);
            const bool done =
                tune(*bench, model, price_lora(bench->run.r), bench->run.learning_rate, seed);
            auto figures = price_figures("test", model, bench->data, seed, done);
            figures.push_back({"linears, MB", megabytes});
            return figures;
          }};
}

LoraConfig with_alpha(std::int64_t r, double alpha) {
  LoraConfig lora = price_lora(r);
  lora.lora_alpha = alpha;
  return lora;
}

std::vector<Variant> rank(const SharedBench& bench) {
  std::vector<Variant> all;
  for (const std::int64_t r : {4, 8, 16, 32, 64}) {
    all.push_back(with_adapters(fmt::format("r = {}", r), bench, price_lora(r)));
  }
  return all;
}

std::vector<Variant> alpha(const SharedBench& bench) {
  const std::int64_t r = bench->run.r;
  std::vector<Variant> all;
  for (const double times : {0.5, 1.0, 2.0, 4.0}) {
    all.push_back(with_adapters(fmt::format("{} r", times), bench,
                                with_alpha(r, times * static_cast<double>(r))));
  }
  return all;
}

std::vector<Variant> alpha_rule(const SharedBench& bench) {
  constexpr double kConstant = 32;
  std::vector<Variant> all;
  for (const std::int64_t r : {4, 16, 64}) {
    const double twice = 2.0 * static_cast<double>(r);
    all.push_back(with_adapters(fmt::format("r {}, 2r", r), bench, with_alpha(r, twice)));
    if (twice == kConstant) continue;  // both rules say the same
    all.push_back(
        with_adapters(fmt::format("r {}, {}", r, kConstant), bench, with_alpha(r, kConstant)));
  }
  return all;
}

std::vector<Variant> dora(const SharedBench& bench) {
  std::vector<Variant> all;
  for (const std::int64_t r : {4, 16, 32}) {
    LoraConfig stabilized = price_lora(r), decomposed = price_lora(r);
    stabilized.use_rslora = true;
    decomposed.use_dora = true;
    all.push_back(with_adapters(fmt::format("LoRA, r {}", r), bench, price_lora(r)));
    all.push_back(with_adapters(fmt::format("rsLoRA, r {}", r), bench, stabilized));
    all.push_back(with_adapters(fmt::format("DoRA, r {}", r), bench, decomposed));
  }
  return all;
}

std::vector<Variant> targets(const SharedBench& bench) {
  const auto on = [&](const std::string& name, const Names& modules) {
    LoraConfig lora = price_lora(bench->run.r);
    lora.target_modules = modules;
    return with_adapters(name, bench, lora);
  };
  return {on("q, v", {"q_proj", "v_proj"}),
          on("attention", {"q_proj", "k_proj", "v_proj", "o_proj"}),
          on("MLP", {"gate_proj", "up_proj", "down_proj"}),
          with_adapters("all linear", bench, price_lora(bench->run.r))};
}

std::vector<Variant> learning_rate(const SharedBench& bench) {
  std::vector<Variant> all;
  for (const double rate : {2e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3}) {
    all.push_back({fmt::format("{}", rate), [=](std::uint64_t seed) {
                     LlamaModel model = bench->nf4();
                     const bool done = tune(*bench, model, price_lora(bench->run.r), rate, seed);
                     return price_figures("test", model, bench->data, seed, done);
                   }});
  }
  return all;
}

std::vector<Variant> base_format(const SharedBench& bench) {
  const auto in = [&](const std::string& name, const std::string& format, bool double_quant) {
    return with_base(name, bench, [=](std::uint64_t) { return bench->base(format, double_quant); });
  };
  std::vector<Variant> all{in("NF4, double", "nf4", true), in("NF4", "nf4", false),
                           in("FP4", "fp4", false)};
  // LLM.int8()'s product has no CUDA version.
  if (bench->placement.device == Device::cpu) all.push_back(in("int8", "int8", false));
  all.push_back(in("16 bits", "none", false));
  return all;
}

// Adapters that were trained beside one base and answer beside another.
Variant moved(const std::string& name, const SharedBench& bench, const std::string& from,
              const std::string& to) {
  return {name, [=](std::uint64_t seed) {
            LlamaModel model = bench->base(from, from == "nf4");
            const bool done =
                tune(*bench, model, price_lora(bench->run.r), bench->run.learning_rate, seed);
            LlamaModel other = bench->base(to, to == "nf4");
            put_adapters(other, take_adapters(model));
            auto figures = price_figures("test", other, bench->data, seed, done);
            figures.push_back({"linears, MB", base_megabytes(other)});
            return figures;
          }};
}

std::vector<Variant> lora_against_qlora(const SharedBench& bench) {
  return {with_base("LoRA", bench, [=](std::uint64_t) { return bench->base("none"); }),
          with_base("QLoRA", bench, [=](std::uint64_t) { return bench->nf4(); }),
          moved("LoRA, on NF4", bench, "none", "nf4"),
          moved("QLoRA, on 16 bits", bench, "nf4", "none")};
}

std::vector<Variant> random_base(const SharedBench& bench) {
  return {with_base("pre-trained", bench, [=](std::uint64_t) { return bench->nf4(); }),
          with_base("random", bench, [=](std::uint64_t seed) { return bench->random(seed); })};
}

struct Question {
  const char* name;
  const char* text;
  std::vector<Variant> (*variants)(const SharedBench&);
  const char* varied = "";  // the option that its variants differ in: it is none of its own
};

constexpr Question kQuestions[] = {
    {"rank", "How large must the rank be? alpha = 2r, all linear layers.", rank, "--r"},
    {"alpha", "How strong shall the update be? alpha as a multiple of the rank.", alpha},
    {"alpha-rule", "Does alpha = 2r or a constant alpha serve all ranks?", alpha_rule, "--r"},
    {"dora", "What do rsLoRA and DoRA gain on LoRA of the same rank?", dora, "--r"},
    {"targets", "Which modules shall carry adapters?", targets},
    {"learning-rate", "How fast may the adapters learn?", learning_rate, "--learning-rate"},
    {"base-format", "What does the format of the frozen base cost?", base_format},
    {"lora-against-qlora", "LoRA on a 16-bit base against QLoRA, and each on the other's base.",
     lora_against_qlora},
    {"random-base", "Is what the base had learned of any use?", random_base},
};

Json settings_of(const ExperimentCommand& c, const Bench& bench) {
  Json j = Json::object();
  j["model"] = c.model.empty() ? "tiny-llama" : c.model;
  j["items"] = c.run.items;
  j["test_items"] = static_cast<std::int64_t>(bench.data.test.rows.size());
  j["batch_size"] = c.run.batch_size;
  j["learning_rate"] = c.run.learning_rate;
  j["r"] = c.run.r;
  j["device"] = bench.placement.device == Device::cuda ? "cuda" : "cpu";
  j["dtype"] = std::string(python_name(bench.placement.arithmetic));
  return j;
}

void answer(const Question& question, const ExperimentCommand& c) {
  const auto bench = std::make_shared<const Bench>(c);
  run_experiment({question.name, question.text, settings_of(c, *bench), question.variants(bench)},
                 c.options);
}

}  // namespace

void add_experiments(Options& parent, std::deque<ExperimentCommand>& commands) {
  Options& all = parent.verb("experiment", "Answers a question by runs over several seeds.");
  for (const Question& question : kQuestions) {
    ExperimentCommand& c = commands.emplace_back();
    Options& verb = all.verb(question.name, question.text);
    verb.add("--model", c.model, "another base; default: the embedded one").value_name("DIR");
    add_price_options(verb, c.run, question.varied);
    add_experiment_options(verb, c.options);
    verb.action([&] { answer(question, c); });
  }
}

}  // namespace qlora::chapter12

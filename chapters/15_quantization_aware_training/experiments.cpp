#include "experiments.h"

#include <memory>
#include <optional>
#include <utility>

#include "llama/fake_quantization.h"
#include "llama/load.h"
#include "network.h"
#include "support/model_options.h"

namespace qlora::chapter15 {
namespace {

struct NamedFormat {
  const char* name;
  FakeFormat format;
};

// Blocks of 64, as bitsandbytes has them, so that only the levels differ.
constexpr NamedFormat kFormats[]{{"NF4", {FakeLevels::nf4}},
                                 {"int4", {FakeLevels::integers, 4}},
                                 {"int3", {FakeLevels::integers, 3}},
                                 {"int2", {FakeLevels::integers, 2}}};

// Trains the embedded model, and remembers the last one in float32: of it all variants without
// quantization-aware training are made.
class Decoders {
 public:
  explicit Decoders(const PriceRun& run)
      : run_(run), folder_(data_folder() + "/tiny-llama"), data_(read_price_data(folder_)) {}

  std::vector<Figure> trained_in_float(std::uint64_t seed) {
    const Trained& trained = in_float(seed);
    return price_figures("float32", trained.model, data_, seed, trained.is_finite);
  }

  std::vector<Figure> quantized_afterwards(const NamedFormat& to, std::uint64_t seed) {
    const Trained& trained = in_float(seed);
    const Placement where{trained.model.device(), DType::f32};
    return rounded_figures(std::string("PTQ ") + to.name,
                           {placed(where, on_host(trained.model)), trained.is_finite}, to.format,
                           seed);
  }

  std::vector<Figure> quantization_aware(const NamedFormat& to, std::uint64_t seed) {
    const std::string label = std::string("QAT ") + to.name;
    return rounded_figures(label, tuned(label, to.format, seed), to.format, seed);
  }

 private:
  struct Trained {
    LlamaModel model;
    bool is_finite;  // the loss, to the last step
  };

  // A GPU's tensors are copied by way of the host: placed() shares what lies there already.
  static LlamaModel on_host(const LlamaModel& model) {
    return placed({Device::cpu, DType::f32}, model);
  }

  Trained tuned(const std::string& label, const std::optional<FakeFormat>& format,
                std::uint64_t seed) {
    LoadOptions load;
    load.placement = placement_of(run_);
    PriceRun run = run_;
    run.seed = static_cast<std::int64_t>(seed);
    // [qat]
    LlamaModel model = load_model(folder_, load);
    if (format) fake_quantize(model, *format);
    const bool is_finite =
        tune_on_prices(label, model, enable_full_training(model), price_arguments(run), data_);
    // [/qat]
    return {std::move(model), is_finite};
  }

  const Trained& in_float(std::uint64_t seed) {
    if (!float_ || float_->first != seed) {
      float_ = {seed, tuned("float32", std::nullopt, seed)};
    }
    return float_->second;
  }

  // What is measured is a model of the levels, which nothing quantizes in passing.
  std::vector<Figure> rounded_figures(const std::string& label, Trained trained,
                                      const FakeFormat& format, std::uint64_t seed) const {
    fake_quantize(trained.model, format);
    round_to_fake_formats(trained.model);
    return price_figures(label, trained.model, data_, seed, trained.is_finite);
  }

  PriceRun run_;
  std::string folder_;
  PriceData data_;
  std::optional<std::pair<std::uint64_t, Trained>> float_;
};

}  // namespace

Experiment network_experiment() {
  Experiment e{"network",
               "Error of chapter 1's network in few bits, quantized after or while training",
               Json::object(),
               {}};
  e.variants.push_back({"float32", [](std::uint64_t seed) {
                          return std::vector<Figure>{{"error", float_error(seed)}};
                        }});
  for (const int bits : {8, 4, 3, 2}) {
    for (const Method method : {Method::ptq, Method::qat}) {
      e.variants.push_back(
          {std::string(name_of(method)) + " int" + std::to_string(bits), [=](std::uint64_t seed) {
             return std::vector<Figure>{{"error", network_error(method, bits, seed)}};
           }});
    }
  }
  return e;
}

Experiment decoder_experiment(const PriceRun& run) {
  Experiment e{"decoder",
               "The embedded model on the price items, quantized after or while training",
               Json::object(),
               {}};
  e.settings["items"] = run.items;
  e.settings["batch_size"] = run.batch_size;
  e.settings["learning_rate"] = run.learning_rate;
  e.settings["device"] = placement_of(run).device == Device::cuda ? "cuda" : "cpu";
  const auto decoders = std::make_shared<Decoders>(run);
  e.variants.push_back(
      {"float32", [=](std::uint64_t seed) { return decoders->trained_in_float(seed); }});
  for (const NamedFormat& format : kFormats) {
    e.variants.push_back({std::string("PTQ ") + format.name, [=](std::uint64_t seed) {
                            return decoders->quantized_afterwards(format, seed);
                          }});
    e.variants.push_back({std::string("QAT ") + format.name, [=](std::uint64_t seed) {
                            return decoders->quantization_aware(format, seed);
                          }});
  }
  return e;
}

}  // namespace qlora::chapter15

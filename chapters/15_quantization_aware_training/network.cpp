#include "network.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "01_min_max_quantization/network.h"
#include "core/random.h"
#include "llama/model.h"
#include "ops/ops.h"
#include "ops/straight_through.h"

namespace qlora::chapter15 {
namespace {

constexpr std::int64_t kPoints = 64, kSteps = 1000;
constexpr double kRate = 1e-2;
constexpr float kPi = 3.14159265f;

Tensor tensor(const std::vector<float>& values, Shape shape) {
  return Tensor::from<float>(values, std::move(shape));
}

std::vector<float> values_of(const Tensor& t) {
  const auto span = t.span<float>();
  return {span.begin(), span.end()};
}

// What the weights of both layers are quantized to in this chapter: one range a tensor.
FakeFormat integers_of(int bits) {
  return {FakeLevels::integers, bits, kRangePerTensor};
}

// A layer of the network as the decoder's op takes it, with its bias and their gradients.
struct TrainedLayer {
  LinearGroup group;  // its weight (N,K), alone in the group
  Tensor b;           // (N)
  Tensor grad_b;      // (N)

  // A copy of chapter 1's layer. Without a format it is trained in float32.
  TrainedLayer(const chapter01::Layer& layer, const std::optional<FakeFormat>& format)
      : b(tensor(layer.b, {layer.N})), grad_b(Tensor::zeros(DType::f32, {layer.N})) {
    Projection part;
    part.N = layer.N;
    part.fake = format;
    group.K = layer.K;
    group.parts.push_back(part);
    group.weight = tensor(layer.W, {layer.N, layer.K});
    group.grad_weight = Tensor::zeros(DType::f32, {layer.N, layer.K});
  }

  // The layer with the weights that a pass sees.
  chapter01::Layer seen() const {
    Arena arena;
    const Tensor W = ops::seen_weight(group, arena);
    return {group.N(), group.K, values_of(W), values_of(b)};
  }
};

// y (T,N) = x · Wᵀ + b, W as the pass sees it
Tensor forward(const TrainedLayer& layer, const Tensor& x, Arena& arena) {
  const Tensor y = arena.take(DType::f32, {x.dim(0), layer.group.N()});
  ops::linear_forward(layer.group, x, {}, {}, arena, y, nullptr);
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    y.data<float>()[i] += layer.b.data<float>()[i % layer.group.N()];
  }
  return y;
}

// Adds to the layer's gradients; dx may be empty.
void backward(const TrainedLayer& layer, const Tensor& x, const Tensor& dy, Arena& arena,
              const Tensor& dx) {
  ops::linear_backward(layer.group, x, {}, {}, dy, arena, dx);
  for (std::int64_t i = 0; i < dy.numel(); ++i) {
    layer.grad_b.data<float>()[i % layer.group.N()] += dy.data<float>()[i];
  }
}

// The two layers and the moments of what is trained of them.
class Training {
 public:
  Training(const chapter01::Network& net, const std::optional<FakeFormat>& format)
      : hidden_(net.hidden, format), output_(net.output, format) {
    for (const TrainedLayer* layer : {&hidden_, &output_}) {
      add(layer->b, layer->grad_b);
      add(layer->group.weight, layer->group.grad_weight);
    }
  }

  // From here on only the biases learn.
  void freeze_weights() {
    for (TrainedLayer* layer : {&hidden_, &output_}) {
      const void* weight = layer->group.weight.raw();
      std::erase_if(all_, [&](const AdamWTensors& p) { return p.parameter.raw() == weight; });
      layer->group.grad_weight = Tensor();
    }
  }

  // One step on the mean square error over points x (T).
  void step(const Tensor& x, double rate) {
    const ArenaScope scope(arena_);
    for (const AdamWTensors& p : all_) p.gradient.zero();
    const Tensor h = forward(hidden_, x, arena_);
    for (float& v : h.span<float>()) v = std::max(v, 0.0f);
    const Tensor y = forward(output_, h, arena_), dh = arena_.take(DType::f32, h.shape());
    const float scale = 2.0f / static_cast<float>(y.numel());
    for (std::int64_t t = 0; t < x.dim(0); ++t) {
      const float at = x.data<float>()[t];
      float* row = y.data<float>() + 2 * t;
      row[0] = scale * (row[0] - std::sin(at));
      row[1] = scale * (row[1] - std::cos(at));
    }
    backward(output_, h, y, arena_, dh);
    for (std::int64_t i = 0; i < h.numel(); ++i) {
      if (h.data<float>()[i] == 0.0f) dh.data<float>()[i] = 0.0f;
    }
    backward(hidden_, x, dh, arena_, Tensor());
    AdamWStep adam;
    adam.lr = rate;
    adam.t = ++t_;
    ops::adamw_all(adam, all_);
  }

  // With the weights as a pass sees them.
  chapter01::Network network() const { return {hidden_.seen(), output_.seen()}; }

 private:
  void add(const Tensor& parameter, const Tensor& gradient) {
    all_.push_back({gradient, parameter, Tensor::zeros(DType::f32, parameter.shape()),
                    Tensor::zeros(DType::f32, parameter.shape())});
  }

  TrainedLayer hidden_, output_;
  std::vector<AdamWTensors> all_;
  Arena arena_;
  std::int64_t t_ = 0;
};

// The weights learn for so many of the steps.
chapter01::Network trained(const std::optional<FakeFormat>& format, std::int64_t weight_steps,
                           std::uint64_t seed) {
  Training training(chapter01::sine_and_cosine(chapter01::kHiddenUnits, seed), format);
  const Random random{seed, 15};
  const Tensor x = Tensor::empty(DType::f32, {kPoints, 1});
  std::uint64_t drawn = 0;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    if (step == weight_steps) training.freeze_weights();
    for (float& v : x.span<float>()) v = kPi * (2.0f * random.uniform(drawn++) - 1.0f);
    const double left = 1.0 - static_cast<double>(step) / static_cast<double>(kSteps);
    training.step(x, kRate * left);
  }
  return training.network();
}

double error_of(const chapter01::Network& net) {
  const std::vector<float> x = chapter01::points(1001), y = chapter01::run_network(net, x);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += std::pow(double{y[2 * i]} - std::sin(double{x[i]}), 2) +
           std::pow(double{y[2 * i + 1]} - std::cos(double{x[i]}), 2);
  }
  return std::sqrt(sum / static_cast<double>(y.size()));
}

}  // namespace

const char* name_of(Method method) {
  switch (method) {
    case Method::ptq:
      return "PTQ";
    case Method::qat:
      return "QAT";
    case Method::frozen:
      return "QAT, then biases";
    case Method::biases:
      return "biases alone";
  }
  return "";
}

double network_error(Method method, int bits, std::uint64_t seed) {
  const FakeFormat format = integers_of(bits);
  if (method == Method::ptq) {
    const chapter01::Network net = trained(std::nullopt, kSteps, seed);
    return error_of(
        {TrainedLayer(net.hidden, format).seen(), TrainedLayer(net.output, format).seen()});
  }
  const std::int64_t weight_steps =
      method == Method::qat ? kSteps : (method == Method::frozen ? kSteps / 2 : 0);
  return error_of(trained(format, weight_steps, seed));
}

double float_error(std::uint64_t seed) {
  return error_of(trained(std::nullopt, kSteps, seed));
}

}  // namespace qlora::chapter15

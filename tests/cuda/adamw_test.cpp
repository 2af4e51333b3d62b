// AdamW and the gradient norm on the GPU beside the CPU.
#include <array>
#include <cmath>

#include "cuda/twin.h"
#include "ops/ops.h"
#include "quantization/dynamic_map.h"

namespace qlora {
namespace {

using namespace testing;

// More tensors than one launch takes, of odd sizes, one empty; every fifth begins at an address
// that is no multiple of 16 bytes where `shifted` says so.
std::vector<Tensor> random_tensors(std::uint64_t stream, float scale, bool shifted) {
  static const std::vector<std::int64_t> kSizes =
      sizes<std::int64_t>({1, 31, 257, 0, 4096, 4097, 12288, 50001}, {1, 31, 257, 0, 4097});
  std::vector<Tensor> tensors;
  for (std::uint64_t i = 0; i < 85; ++i) {
    const std::int64_t n = kSizes[i % kSizes.size()];
    const std::int64_t offset = shifted && i % 5 == 0 ? 1 : 0;
    tensors.push_back(
        random_tensor(DType::f32, {n + offset}, 1000 * stream + i, scale).rows(offset, n + offset));
  }
  return tensors;
}

// Copies on the GPU that keep a view's distance from 16 bytes.
std::vector<Tensor> copies(const std::vector<Tensor>& tensors, bool shifted) {
  std::vector<Tensor> there;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::int64_t offset = shifted && i % 5 == 0 ? 1 : 0, n = tensors[i].numel();
    const Tensor room =
        ops::empty_on(Device::cuda, DType::f32, {n + offset}).rows(offset, n + offset);
    ops::copy(tensors[i], room);
    there.push_back(room);
  }
  return there;
}

Tensor norm_of(const std::vector<Tensor>& gradients, Device device) {
  Arena arena = ops::arena_on(device);
  Tensor norm = ops::empty_on(device, DType::f64, {1});
  ops::fill_bytes(norm, 0xff);
  ops::gradient_norm(gradients, arena, norm);
  return norm;
}

// A sum in double of n squares in any order is within n u of itself, with u of 2^-53; the root
// halves that.
TEST(CudaAdamW, NormIsItsTwin) {
  SKIP_WITHOUT_GPU();
  for (const bool shifted : {false, true}) {
    const std::vector<Tensor> gradients = random_tensors(1, 0.5f, shifted);
    double n = 0;
    for (const Tensor& g : gradients) n += static_cast<double>(g.numel());
    const double theirs = *norm_of(gradients, Device::cpu).data<double>();
    const std::vector<Tensor> there = copies(gradients, shifted);
    const Tensor first = norm_of(there, Device::cuda);
    EXPECT_NEAR(*ops::on(Device::cpu, first).data<double>(), theirs, theirs * n * 0x1p-53);
    for (int run = 0; run < 2; ++run) {
      EXPECT_TRUE(same_on_gpu(norm_of(there, Device::cuda), first));
    }
  }
  EXPECT_EQ(*ops::on(Device::cpu, norm_of({}, Device::cuda)).data<double>(), 0.0);
}

// Every operation of a step is rounded as on the CPU: the bits are the same, with one norm for
// both.
TEST(CudaAdamW, StepsHaveTheBitsOfTheCpu) {
  SKIP_WITHOUT_GPU();
  for (const bool shifted : {false, true}) {
    const std::array<std::vector<Tensor>, 4> here{
        random_tensors(1, 0.5f, shifted), random_tensors(2, 1.0f, shifted),
        random_tensors(3, 0.0f, shifted), random_tensors(4, 0.0f, shifted)};
    std::array<std::vector<Tensor>, 4> there;
    for (std::size_t k = 0; k < 4; ++k) there[k] = copies(here[k], shifted);
    std::vector<AdamWTensors> ours, theirs;
    for (std::size_t i = 0; i < here[0].size(); ++i) {
      theirs.push_back({here[0][i], here[1][i], here[2][i], here[3][i]});
      ours.push_back({there[0][i], there[1][i], there[2][i], there[3][i]});
    }
    const Tensor norm = norm_of(here[0], Device::cpu);
    for (AdamWStep step{2e-4, 0.9, 0.999, 1e-8, 0.01, 1}; step.t <= 3; ++step.t) {
      // the second step is clipped, the third not, for its norm is small
      AdamWStep on_gpu = step;
      if (step.t > 1) {
        const double max_norm = step.t == 2 ? 0.3 : 1e9;
        step.clip = {norm, max_norm};
        on_gpu.clip = {to_gpu(norm), max_norm};
      }
      ops::adamw_all(step, theirs);
      ops::adamw_all(on_gpu, ours);
      for (std::size_t k = 1; k < 4; ++k) {
        for (std::size_t i = 0; i < here[k].size(); ++i) {
          EXPECT_TRUE(same_on_gpu(there[k][i], here[k][i]))
              << "array " << k << " of tensor " << i << " at step " << step.t;
        }
      }
    }
  }
}

// Moments of zero, as a run begins.
Blockwise8Tensor zero_moment(Device device, std::int64_t n, const Tensor& map) {
  const Blockwise8Tensor moment{kMomentBlock, ops::empty_on(device, DType::u8, {n}),
                                ops::empty_on(device, DType::f32, {(n + 255) / 256}), map};
  ops::fill_bytes(moment.codes, 0);
  ops::fill_bytes(moment.absmax, 0);
  return moment;
}

std::vector<AdamW8bitTensors> with_zero_moments(Device device, const std::vector<Tensor>& gradients,
                                                const std::vector<Tensor>& parameters) {
  std::vector<Tensor> maps;
  for (const bool is_signed : {true, false}) {
    const DynamicMap map = create_dynamic_map(is_signed);
    maps.push_back(ops::on(device, Tensor::from<float>(map, {256})));
  }
  std::vector<AdamW8bitTensors> all;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const std::int64_t n = gradients[i].numel();
    all.push_back({gradients[i], parameters[i], zero_moment(device, n, maps[0]),
                   zero_moment(device, n, maps[1])});
  }
  return all;
}

// Codes, maxima and parameters are those of the CPU, step by step from equal ones, with gradients
// that are zero, tiny, huge or not finite among them.
TEST(CudaAdamW, StepsIn8BitsHaveTheBitsOfTheCpu) {
  SKIP_WITHOUT_GPU();
  for (const bool shifted : {false, true}) {
    const std::vector<Tensor> g = random_tensors(1, 0.5f, shifted);
    const std::vector<Tensor> p = random_tensors(2, 1.0f, shifted);
    for (std::size_t i = 0; i < g.size(); ++i) {
      const auto values = g[i].span<float>();
      const std::vector<float> special{0.0f,  -0.0f, 1e-9f,     -1e-9f,  1e-20f,
                                       1e18f, NAN,   -INFINITY, -1e-38f, 1e-40f};
      for (std::size_t k = 0; k < special.size(); ++k) {
        if (values.size() > 3 * k && i % 3 == 0) values[3 * k] = special[k];
      }
      if (i % 7 == 0) g[i].zero();
    }
    const std::vector<AdamW8bitTensors> theirs = with_zero_moments(Device::cpu, g, p);
    const std::vector<AdamW8bitTensors> ours =
        with_zero_moments(Device::cuda, copies(g, shifted), copies(p, shifted));
    const Tensor norm = Tensor::from<double>(std::vector<double>{2.0}, {1});
    for (AdamWStep step{2e-4, 0.9, 0.999, 1e-8, 0.01, 1}; step.t <= 4; ++step.t) {
      AdamWStep on_gpu = step;
      if (step.t > 1) {
        step.clip = {norm, step.t == 2 ? 0.3 : 1e9};
        on_gpu.clip = {to_gpu(norm), step.clip.max_norm};
      }
      ops::adamw_8bit_all(step, theirs);
      ops::adamw_8bit_all(on_gpu, ours);
      for (std::size_t i = 0; i < g.size(); ++i) {
        const std::string where = "tensor " + std::to_string(i) + " step " + std::to_string(step.t);
        EXPECT_TRUE(same_on_gpu(ours[i].parameter, theirs[i].parameter)) << where;
        EXPECT_TRUE(same_on_gpu(ours[i].m.codes, theirs[i].m.codes)) << where;
        EXPECT_TRUE(same_on_gpu(ours[i].v.codes, theirs[i].v.codes)) << where;
        EXPECT_TRUE(same_on_gpu(ours[i].m.absmax, theirs[i].m.absmax)) << where;
        EXPECT_TRUE(same_on_gpu(ours[i].v.absmax, theirs[i].v.absmax)) << where;
      }
    }
  }
}

TEST(CudaAdamW, OneTensorAlone) {
  SKIP_WITHOUT_GPU();
  const Tensor g = random_tensor(DType::f32, {17, 33}, 1),
               p = random_tensor(DType::f32, {17, 33}, 2);
  const Tensor m = Tensor::zeros(DType::f32, g.shape()), v = Tensor::zeros(DType::f32, g.shape());
  const Tensor our_p = ops::on(Device::cuda, p.clone()), our_m = to_gpu(m), our_v = to_gpu(v);
  ops::adamw({}, to_gpu(g), our_p, our_m, our_v);
  ops::adamw({}, g, p, m, v);
  EXPECT_TRUE(same_on_gpu(our_p, p));
  EXPECT_TRUE(same_on_gpu(our_m, m));
  EXPECT_TRUE(same_on_gpu(our_v, v));
}

}  // namespace
}  // namespace qlora

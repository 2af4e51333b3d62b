// What a Linear4bit (NF4, double quantization, bias) computes: tests/golden/nf4/linear4bit.
#include "core/matmul.h"
#include "golden_cases.h"
#include "quantization/rounding.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::close_to_largest;
using testing::golden;
using testing::same_bytes;

struct Layer {
  std::string name;
  double band;  // relative to the largest value: five times what the library is off float64
  DType dtype;
};

const std::vector<Layer> kLayers{
    {"f32", 5e-6, DType::f32}, {"bf16", 2e-2, DType::bf16}, {"f16", 3e-3, DType::f16}};

SafetensorsFile open() {
  return SafetensorsFile::open(golden("nf4/linear4bit.safetensors"));
}

// The weight as the layer holds it. The file has no offset: the library's is the one within a unit
// in the last place of ours that restores the file's weight bit for bit.
QuantizedTensor quantized(const SafetensorsFile& file, const Layer& layer) {
  QuantizedTensor q =
      quantize_4bit(file.tensor("weight").to(layer.dtype), QuantType::nf4, 64, true);
  EXPECT_TRUE(same_bytes(q.packed, file.tensor(layer.name + ".packed")));
  const Tensor expected = file.tensor(layer.name + ".dequant");
  const Tensor wide = file.tensor("weight").to(layer.dtype);
  for (const float target : {q.offset, testing::next_up(q.offset), testing::next_down(q.offset)}) {
    q.offset = target;
    if (same_bytes(dequantize_4bit(q), expected)) return q;
  }
  ADD_FAILURE() << "no offset within a unit of ours restores the weight";
  return q;
}

// y (M,N) = x (M,K) · W (N,K)ᵀ + bias, x and the bias rounded to the layer's dtype.
Tensor forward(const SafetensorsFile& file, const Layer& layer, const Tensor& weight,
               std::int64_t M) {
  const std::int64_t N = weight.dim(0);
  const std::int64_t K = weight.dim(1);
  const Tensor x = file.tensor("x").to(layer.dtype).to(DType::f32);
  const Tensor bias = file.tensor("bias").to(layer.dtype).to(DType::f32);
  Tensor y = Tensor::empty(DType::f32, {M, N});
  for (std::int64_t i = 0; i < M * N; ++i) y.data<float>()[i] = bias.data<float>()[i % N];
  matmul(Transpose::no, Transpose::yes, M, N, K, 1.0f, x.data<float>(), K, weight.data<float>(), K,
         1.0f, y.data<float>(), N);
  return y;
}

TEST(Linear4bit, Forward) {
  const SafetensorsFile file = open();
  for (const Layer& layer : kLayers) {
    SCOPED_TRACE(layer.name);
    const Tensor weight = dequantize_4bit(quantized(file, layer)).to(DType::f32);
    const Tensor y = forward(file, layer, weight, 5);
    EXPECT_TRUE(close_to_largest(y, file.tensor(layer.name + ".y"), layer.band));
    EXPECT_TRUE(close_to_largest(y, file.tensor(layer.name + ".y_no_grad"), layer.band));
    // One row goes through a kernel of its own, which multiplies values and maxima in the dtype.
    EXPECT_TRUE(close_to_largest(forward(file, layer, weight, 1),
                                 file.tensor(layer.name + ".y_one_row"), layer.band));
  }
}

TEST(Linear4bit, GradientOfTheInput) {
  const SafetensorsFile file = open();
  for (const Layer& layer : kLayers) {
    SCOPED_TRACE(layer.name);
    const Tensor weight = dequantize_4bit(quantized(file, layer)).to(DType::f32);
    const Tensor grad_out = file.tensor("grad_out").to(layer.dtype).to(DType::f32);
    const std::int64_t M = grad_out.dim(0);
    const std::int64_t N = weight.dim(0);
    const std::int64_t K = weight.dim(1);
    Tensor grad_x = Tensor::empty(DType::f32, {M, K});  // grad_y (M,N) · W (N,K)
    matmul(Transpose::no, Transpose::no, M, K, N, 1.0f, grad_out.data<float>(), N,
           weight.data<float>(), K, 0.0f, grad_x.data<float>(), K);
    EXPECT_TRUE(close_to_largest(grad_x, file.tensor(layer.name + ".grad_x"), layer.band));
  }
}

TEST(Linear4bit, TheBandsCanTellTheQuantizedWeightFromTheOriginal) {
  const SafetensorsFile file = open();
  for (const Layer& layer : kLayers) {
    const Tensor weight = file.tensor("weight");
    EXPECT_FALSE(close_to_largest(forward(file, layer, weight, 5), file.tensor(layer.name + ".y"),
                                  layer.band));
  }
}

}  // namespace
}  // namespace qlora

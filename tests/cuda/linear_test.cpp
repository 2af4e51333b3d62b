// Linear layers with LoRA on the GPU beside the CPU: on a base in NF4, and on one that is trained.
#include "cuda/linear_twins.h"

namespace qlora {
namespace {

using namespace testing;

// One row, odd ones, and a group of three as q, k and v are.
const std::vector<LinearSizes> kSizes{
    {1, 64, 4, {64}}, {33, 96, 8, {33, 31}}, {70, 192, 16, {192, 64, 64}}};

TEST(CudaLinear, ForwardAndBackwardAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const LinearSizes& s : kSizes) {
      for (const float dropout : {0.0f, 0.25f}) {
        const LinearKind kind{dtype, dropout};
        expect_twins(LinearTwins(s, kind), s, kind);
      }
    }
  }
}

// Adapters beside a base that learns, too: folded into its products without dropout, apart with it.
TEST(CudaLinear, ABaseThatIsTrainedHasItsGradientBesideAdapters) {
  SKIP_WITHOUT_GPU();
  for (const float dropout : {0.0f, 0.25f}) {
    const LinearKind kind{DType::f32, dropout, true, false, true};
    expect_twins(LinearTwins(kSizes[1], kind), kSizes[1], kind);
  }
}

}  // namespace
}  // namespace qlora

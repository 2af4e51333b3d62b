#include "ops/cuda/product.h"

#include <cublasLt.h>

#include <array>
#include <map>
#include <mutex>

#include "ops/cuda/device.h"
#include "ops/cuda/timeline.h"

namespace qlora::cuda {
namespace {

constexpr std::size_t kWorkspace = std::size_t{32} << 20;  // what NVIDIA advises for Hopper

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  if (status == CUBLAS_STATUS_ALLOC_FAILED) cuda::check(cudaErrorMemoryAllocation, "cuBLASLt");
  throw Error(ExitCode::check_failed,
              std::string("cuBLASLt: ") + what + ": " + cublasLtGetStatusString(status));
}

cudaDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return CUDA_R_32F;
    case DType::f16:
      return CUDA_R_16F;
    case DType::bf16:
      return CUDA_R_16BF;
    default:
      require(false, "product", "matrices of float32, float16 or bfloat16");
      return CUDA_R_32F;
  }
}

// The largest power of two up to 256 that divides where the rows begin.
std::uint32_t alignment(const Matrix& m) {
  const std::uint64_t bits = reinterpret_cast<std::uint64_t>(m.data) |
                             (static_cast<std::uint64_t>(m.ld) * size_of(m.dtype)) |
                             std::uint64_t{256};
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

// Everything that cuBLASLt's choice of a kernel depends on.
using Key = std::array<std::int64_t, 15>;

// A product as cuBLASLt sees it. Its matrices are column-major: a row-major X is its Xᵀ, so that it
// is asked for Dᵀ = op(B)ᵀ · op(A)ᵀ.
struct Plan {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr, d = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};

cublasLtMatrixLayout_t layout(const Matrix& m) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublasLtMatrixLayoutCreate(&made, type_of(m.dtype), static_cast<std::uint64_t>(m.columns),
                                   static_cast<std::uint64_t>(m.rows), m.ld),
        "layout");
  return made;
}

class Library {
 public:
  Library() {
    check(cublasLtCreate(&handle_), "create");
    workspace_ = empty(DType::u8, {static_cast<std::int64_t>(kWorkspace)});
  }

  void multiply(bool trans_a, const Matrix& A, bool trans_b, const Matrix& B, float alpha,
                float beta, const Matrix& C, const Matrix& D) {
    const Plan& plan = plan_for(trans_a, A, trans_b, B, C, D);
    check(cublasLtMatmul(handle_, plan.operation, &alpha, B.data, plan.b, A.data, plan.a, &beta,
                         C.data, plan.c, D.data, plan.d, &plan.algorithm, workspace_.raw(),
                         kWorkspace, stream()),
          "matmul");
  }

 private:
  const Plan& plan_for(bool trans_a, const Matrix& A, bool trans_b, const Matrix& B,
                       const Matrix& C, const Matrix& D) {
    const Key key{trans_a,
                  trans_b,
                  A.rows,
                  A.columns,
                  A.ld,
                  B.rows,
                  B.columns,
                  B.ld,
                  C.ld,
                  D.ld,
                  static_cast<std::int64_t>(A.dtype),
                  static_cast<std::int64_t>(D.dtype),
                  alignment(A),
                  alignment(B),
                  std::min(alignment(C), alignment(D))};
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find(key);
    if (found != plans_.end()) return found->second;
    return plans_.emplace(key, made(trans_a, A, trans_b, B, C, D)).first->second;
  }

  Plan made(bool trans_a, const Matrix& A, bool trans_b, const Matrix& B, const Matrix& C,
            const Matrix& D) {
    Plan plan;
    check(cublasLtMatmulDescCreate(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "operation");
    const cublasOperation_t first = trans_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t second = trans_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const auto set = [&](cublasLtMatmulDescAttributes_t name, const cublasOperation_t& value) {
      check(cublasLtMatmulDescSetAttribute(plan.operation, name, &value, sizeof value),
            "attribute");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, first);
    set(CUBLASLT_MATMUL_DESC_TRANSB, second);
    plan.a = layout(A);
    plan.b = layout(B);
    plan.c = layout(C);
    plan.d = layout(D);
    cublasLtMatmulPreference_t preference = nullptr;
    check(cublasLtMatmulPreferenceCreate(&preference), "preference");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof value),
            "preference");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(B));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(A));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(C));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(D));
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_, plan.operation, plan.b, plan.a, plan.c, plan.d, preference, 1, &result, &found);
    cublasLtMatmulPreferenceDestroy(preference);
    check(status, "no kernel for this product");
    require(found > 0, "product", "a product that cuBLASLt has a kernel for");
    plan.algorithm = result.algo;
    return plan;
  }

  cublasLtHandle_t handle_ = nullptr;
  Tensor workspace_;
  std::mutex mutex_;
  std::map<Key, Plan> plans_;  // kept as long as the process: shapes come again every step
};

Library& library() {
  static Library one;
  return one;
}

}  // namespace

Matrix::Matrix(const Tensor& tensor)
    : data(tensor.raw()),
      dtype(tensor.dtype()),
      rows(tensor.dim(0)),
      columns(tensor.dim(1)),
      ld(tensor.dim(1)) {}

Matrix Matrix::columns_from(std::int64_t begin, std::int64_t count) const {
  require(begin >= 0 && count >= 0 && begin + count <= columns, "Matrix", "columns that it has");
  Matrix part = *this;
  part.data = static_cast<char*>(data) + static_cast<std::size_t>(begin) * size_of(dtype);
  part.columns = count;
  return part;
}

Matrix Matrix::rows_from(std::int64_t begin, std::int64_t count) const {
  require(begin >= 0 && count >= 0 && begin + count <= rows, "Matrix", "rows that it has");
  Matrix part = *this;
  part.data = static_cast<char*>(data) + static_cast<std::size_t>(begin * ld) * size_of(dtype);
  part.rows = count;
  return part;
}

void product(Transpose trans_a, const Matrix& A, Transpose trans_b, const Matrix& B, float alpha,
             float beta, const Matrix& C, const Matrix& D, ops::Part part) {
  const bool ta = trans_a == Transpose::yes, tb = trans_b == Transpose::yes;
  const std::int64_t M = ta ? A.columns : A.rows, K = ta ? A.rows : A.columns;
  const std::int64_t N = tb ? B.rows : B.columns;
  require((tb ? B.columns : B.rows) == K, "product", "as many columns of op(A) as rows of op(B)");
  require(D.rows == M && D.columns == N && C.rows == M && C.columns == N, "product",
          "C and D (M,N)");
  require(A.dtype == B.dtype && C.dtype == D.dtype, "product", "A and B, C and D of one dtype");
  if (M == 0 || N == 0) return;
  require(K > 0, "product", "an inner dimension of at least 1");
  const Timed timed(part);
  library().multiply(ta, A, tb, B, alpha, beta, C, D);
}

}  // namespace qlora::cuda

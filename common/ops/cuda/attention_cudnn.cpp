#include "ops/cuda/attention_cudnn.h"

#include <cudnn_frontend.h>
#include <dlfcn.h>

#include <array>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <memory>
#include <unordered_map>

#include "ops/cuda/device.h"

// The library that cudnn-frontend takes its functions from: it is loaded here, not linked.
void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace qlora::cuda {
namespace {

namespace fe = cudnn_frontend;
using TensorOf = std::shared_ptr<fe::graph::Tensor_attributes>;

// cuDNN, and the CUDA runtime that cudnn-frontend takes beside it: loaded once and for the whole
// process.
struct Library {
  cudnnHandle_t handle = nullptr;
  std::string problem;

  Library() {
    if (!device().has_bf16()) {
      problem = "the GPU has no bfloat16";
      return;
    }
    const char* folder = std::getenv("QLORA_CUDNN");
    const std::string name = "libcudnn.so.9";
    fe::cudnn_dlhandle = load(folder == nullptr ? name : std::string(folder) + "/" + name);
    if (fe::cudnn_dlhandle == nullptr) return;
    // Python's package of it lies beside one of the runtime, which the loader may not know.
    const std::string major = std::to_string(CUDART_VERSION / 1000);
    const std::string runtime = "libcudart.so." + major;
    std::array<char, PATH_MAX> origin{};
    dlinfo(fe::cudnn_dlhandle, RTLD_DI_ORIGIN, origin.data());
    if (load(runtime) == nullptr &&
        load(std::string(origin.data()) + "/../../cu" + major + "/lib/" + runtime) == nullptr) {
      return;
    }
    try {
      cudnnStatus_t status = fe::detail::create_handle(&handle);
      if (status == CUDNN_STATUS_SUCCESS) status = fe::detail::set_stream(handle, stream());
      problem = status == CUDNN_STATUS_SUCCESS ? "" : fe::detail::get_error_string(status);
    } catch (const std::exception& error) {  // it lacks a function
      problem = error.what();
    }
    if (!problem.empty()) problem = name + ": " + problem;
  }

  void* load(const std::string& file) {
    void* loaded = dlopen(file.c_str(), RTLD_NOW);
    if (loaded == nullptr) problem = dlerror();
    return loaded;
  }
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

// Bytes that a backward pass may take. What gives equal bits grows with T², to 0.9 GiB for the 3B
// model at 4 x 2048 and 3.1 GiB at 1 x 8192: beyond, the own kernels are the better choice.
constexpr std::int64_t kMostScratch = std::int64_t{1} << 30;

// Bytes of a forward pass, which has no arena: a few for short sequences, none for long ones.
constexpr std::int64_t kForwardScratch = std::int64_t{1} << 20;

// The sizes, and elements from one row to the next of each tensor: 0 for those that only the
// backward pass has.
struct Problem {
  AttentionShape shape;
  DType dtype;
  std::int64_t qkv_row, out_row, dout_row, dqkv_row;

  // What tells plans apart.
  using Key = std::array<std::int64_t, 10>;
  Key key() const {
    const AttentionShape& s = shape;
    return {s.B,     s.T,     s.H,      s.K,     s.D, static_cast<std::int64_t>(dtype),
            qkv_row, out_row, dout_row, dqkv_row};
  }
};

enum Id : std::int64_t { kQ = 1, kK, kV, kOut, kLse, kDout, kDq, kDk, kDv };

// A graph of one attention, with the kernels that cuDNN chose for it.
class Plan {
 public:
  std::int64_t workspace = 0;  // bytes
  std::string problem;         // why there is none

  explicit Plan(const Problem& p) : shape_(p.shape) {
    graph_
        .set_io_data_type(p.dtype == DType::bf16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::HALF)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT)
        .set_sm_version(device().major * 10 + device().minor);
    try {
      const bool is_forward = p.dqkv_row == 0;
      is_forward ? forward(p) : backward(p);
      fe::error_t status = graph_.build(library().handle, {fe::HeurMode_t::A});
      if (status.is_good()) status = graph_.get_workspace_size(workspace);
      if (status.is_bad()) problem = status.get_message();
      if (problem.empty() && workspace > (is_forward ? kForwardScratch : kMostScratch)) {
        problem = "its scratch would be " + std::to_string(workspace >> 20) + " MiB";
      }
    } catch (const std::exception& error) {  // the library lacks a function
      problem = error.what();
    }
  }

  void run(const char* op, std::unordered_map<std::int64_t, void*> tensors, void* memory) const {
    fe::error_t status = graph_.execute(library().handle, tensors, memory);
    if (status.is_bad()) {
      throw Error(ExitCode::check_failed, std::string(op) + ": cuDNN: " + status.get_message());
    }
  }

 private:
  fe::graph::Graph graph_;
  AttentionShape shape_;

  // `count` heads beside each other in rows of `row` elements, as (B, count, T, D).
  void place(fe::graph::Tensor_attributes& t, Id id, std::int64_t count, std::int64_t row) const {
    const AttentionShape& s = shape_;
    t.set_uid(id).set_dim({s.B, count, s.T, s.D}).set_stride({s.T * row, s.D, row, 1});
  }
  TensorOf input(Id id, std::int64_t count, std::int64_t row) {
    fe::graph::Tensor_attributes t;
    place(t, id, count, row);
    return graph_.tensor(t);
  }
  void output(const TensorOf& t, Id id, std::int64_t count, std::int64_t row) const {
    place(t->set_output(true), id, count, row);
  }
  // (B,H,T,1) in float32, in natural logarithms.
  void place_lse(fe::graph::Tensor_attributes& t) const {
    const AttentionShape& s = shape_;
    t.set_uid(kLse)
        .set_data_type(fe::DataType_t::FLOAT)
        .set_dim({s.B, s.H, s.T, 1})
        .set_stride({s.H * s.T, s.T, 1, 1});
  }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.D)); }

  void forward(const Problem& p) {
    const std::int64_t H = shape_.H, K = shape_.K;
    auto [out, lse] =
        graph_.sdpa(input(kQ, H, p.qkv_row), input(kK, K, p.qkv_row), input(kV, K, p.qkv_row),
                    fe::graph::SDPA_attributes()
                        .set_generate_stats(true)
                        .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
                        .set_diagonal_band_right_bound(0)
                        .set_attn_scale(scale()));
    output(out, kOut, H, p.out_row);
    place_lse(lse->set_output(true));
  }

  void backward(const Problem& p) {
    const std::int64_t H = shape_.H, K = shape_.K;
    fe::graph::Tensor_attributes lse;
    place_lse(lse);
    auto [dq, dk, dv] = graph_.sdpa_backward(
        input(kQ, H, p.qkv_row), input(kK, K, p.qkv_row), input(kV, K, p.qkv_row),
        input(kOut, H, p.out_row), input(kDout, H, p.dout_row), graph_.tensor(lse),
        fe::graph::SDPA_backward_attributes()
            .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
            .set_diagonal_band_right_bound(0)
            .set_attn_scale(scale())
            .set_deterministic_algorithm(std::getenv("QLORA_CUDNN_ANY_ORDER") == nullptr));
    output(dq, kDq, H, p.dqkv_row);
    output(dk, kDk, K, p.dqkv_row);
    output(dv, kDv, K, p.dqkv_row);
  }
};

const Plan& plan_of(const Problem& p) {
  // Never destroyed: at the end of the process the library may be gone before.
  static auto& plans = *new std::map<Problem::Key, std::unique_ptr<Plan> >();
  std::unique_ptr<Plan>& plan = plans[p.key()];
  if (plan == nullptr) plan = std::make_unique<Plan>(p);
  return *plan;
}

// Why cuDNN is not asked: it has its fast kernels for these sizes.
std::string refusal(const AttentionShape& s, DType dtype) {
  if (!cudnn_problem().empty()) return cudnn_problem();
  if (s.D != 64 && s.D != 128) return "head sizes of 64 and 128 only";
  if (s.S != s.T || s.T < 2) return "as many keys as queries, and more than one";
  if (dtype != DType::bf16 && dtype != DType::f16) return "16-bit activations only";
  return "";
}

// The same for tensors, which it reads 16 bytes at a time.
std::string refusal(const AttentionShape& s, std::initializer_list<const Tensor*> matrices) {
  for (const Tensor* t : matrices) {
    if (std::string why = refusal(s, t->dtype()); !why.empty()) return why;
    if (reinterpret_cast<std::uintptr_t>(t->raw()) % 16 != 0 || t->dim(1) % 8 != 0) {
      return "rows at multiples of 16 bytes only";
    }
  }
  return "";
}

// The part of the stacked rows that begins at a column.
void* columns_from(const Tensor& rows, std::int64_t column) {
  return static_cast<char*>(rows.raw()) + static_cast<std::size_t>(column) * size_of(rows.dtype());
}

}  // namespace

const std::string& cudnn_problem() {
  return library().problem;
}

std::string cudnn_forward(const AttentionShape& s, const Tensor& qkv, const Tensor& out,
                          const Tensor& lse) {
  if (std::string why = refusal(s, {&qkv, &out}); !why.empty()) return why;
  const Plan& plan = plan_of({s, qkv.dtype(), qkv.dim(1), out.dim(1), 0, 0});
  if (!plan.problem.empty()) return plan.problem;
  static const Tensor scratch = empty(DType::u8, {kForwardScratch});
  plan.run("attention_forward",
           {{kQ, qkv.raw()},
            {kK, columns_from(qkv, s.H * s.D)},
            {kV, columns_from(qkv, (s.H + s.K) * s.D)},
            {kOut, out.raw()},
            {kLse, lse.raw()}},
           scratch.raw());
  return "";
}

std::string cudnn_backward(const AttentionShape& s, const Tensor& qkv, const Tensor& out,
                           const Tensor& lse, const Tensor& dout, Arena& arena,
                           const Tensor& dqkv) {
  if (std::string why = refusal(s, {&qkv, &out, &dout, &dqkv}); !why.empty()) return why;
  const Plan& plan = plan_of({s, qkv.dtype(), qkv.dim(1), out.dim(1), dout.dim(1), dqkv.dim(1)});
  if (!plan.problem.empty()) return plan.problem;
  const ArenaScope scope(arena);
  const Tensor memory = arena.take(DType::u8, {plan.workspace});
  plan.run("attention_backward",
           {{kQ, qkv.raw()},
            {kK, columns_from(qkv, s.H * s.D)},
            {kV, columns_from(qkv, (s.H + s.K) * s.D)},
            {kOut, out.raw()},
            {kLse, lse.raw()},
            {kDout, dout.raw()},
            {kDq, dqkv.raw()},
            {kDk, columns_from(dqkv, s.H * s.D)},
            {kDv, columns_from(dqkv, (s.H + s.K) * s.D)}},
           memory.raw());
  return "";
}

std::int64_t cudnn_scratch(const AttentionShape& s, DType dtype, std::int64_t out_row,
                           std::int64_t dqkv_row) {
  if (!refusal(s, dtype).empty()) return 0;
  const Plan& plan = plan_of({s, dtype, (s.H + 2 * s.K) * s.D, out_row, s.H * s.D, dqkv_row});
  return plan.problem.empty() ? plan.workspace : 0;
}

}  // namespace qlora::cuda

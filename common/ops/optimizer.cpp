// The optimizer's ops: checks, and the back end.
#include <array>
#include <cmath>

#include "ops/device.h"
#include "ops/ops.h"

namespace qlora::ops {

void adamw(const AdamWStep& step, const Tensor& gradient, const Tensor& parameter, const Tensor& m,
           const Tensor& v) {
  adamw_all(step, std::array{AdamWTensors{gradient, parameter, m, v}});
}

void adamw_all(const AdamWStep& step, std::span<const AdamWTensors> all) {
  constexpr const char* op = "adamw";
  for (const auto& [gradient, parameter, m, v] : all) {
    for (const Tensor* t : {&gradient, &m, &v}) {
      require(t->numel() == parameter.numel() && t->device() == parameter.device(), op,
              "tensors of one size on one device");
    }
  }
  if (all.empty()) return;
  QLORA_ON_GPU(all[0].parameter, adamw_all(step, all));
  for (const AdamWTensors& one : all) {
    on_device(one.parameter, op, [&]<typename T>(T) {
      cpu::adamw<T>(step, one.parameter.numel(), one.gradient.data<T>(), one.parameter.data<T>(),
                    one.m.data<T>(), one.v.data<T>());
    });
  }
}

void adamw_8bit_all(const AdamWStep& step, std::span<const AdamW8bitTensors> all) {
  constexpr const char* op = "adamw_8bit";
  for (const auto& [gradient, parameter, m, v] : all) {
    const std::int64_t n = parameter.numel();
    const std::int64_t blocks = (n + kMomentBlock - 1) / kMomentBlock;
    require(parameter.dtype() == DType::f32 && gradient.dtype() == DType::f32 &&
                gradient.numel() == n && gradient.device() == parameter.device(),
            op, "a parameter and a gradient of one size in float32");
    for (const Blockwise8Tensor* moment : {&m, &v}) {
      require(moment->codes.numel() == n && moment->absmax.numel() == blocks &&
                  moment->map.numel() == 256 && moment->codes.device() == parameter.device(),
              op, "moments of the parameter's size in blocks of 256, on its device");
    }
  }
  if (all.empty()) return;
  QLORA_ON_GPU(all[0].parameter, adamw_8bit_all(step, all));
  for (const AdamW8bitTensors& one : all) {
    on_device(one.parameter, op, [&]<typename T>(T) { cpu::adamw_8bit(step, one); });
  }
}

void gradient_norm(std::span<const Tensor> gradients, [[maybe_unused]] Arena& arena,
                   const Tensor& norm) {
  constexpr const char* op = "gradient_norm";
  require(norm.numel() == 1 && norm.dtype() == DType::f64, op, "a norm (1) F64");
  for (const Tensor& gradient : gradients) {
    require(gradient.device() == norm.device(), op, "a norm on the gradients' device");
  }
  QLORA_ON_GPU(norm, gradient_norm(gradients, arena, norm));
  double sum = 0;
  for (const Tensor& gradient : gradients) {
    on_device(gradient, op, [&]<typename T>(T) {
      sum += cpu::squared_norm<T>(gradient.numel(), gradient.data<T>());
    });
  }
  *norm.data<double>() = std::sqrt(sum);
}

}  // namespace qlora::ops

// The optimizer's ops: what stands in ops/ops.h of them.
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

// Task 2: a step size that is learned. Nothing like it is in the tree.
#pragma once

#include <span>

namespace qlora {

/// Esser et al. 2020, "Learned Step Size Quantization", arXiv 1902.08153: the scale s is no largest
/// magnitude, but a parameter with a gradient of its own. The integers are -q_n … q_p with
/// q_n = 2^(bits - 1) and q_p = 2^(bits - 1) - 1: all 2^bits codes are used.
struct Lsq {
  int bits = 4;    ///< 2 to 16
  double s = 1.0;  ///< the step, above 0
};

/// v_q = round(clamp(v / s, -q_n, q_p)) · s (equations 1 and 2), ties to even.
void lsq_forward(const Lsq& lsq, std::span<const double> v, std::span<double> v_q);

/// From dv_q: adds to dv (equation 5) and to ds (equation 3, summed over all v), where the gradient
/// of s is multiplied by 1 / sqrt(n · q_p), n the number of values (section 2.2). Rounding passes
/// its gradient straight through. With z = v / s:
///
///   dv_q/dv = 1 for -q_n < z < q_p, else 0
///   dv_q/ds = round(z) - z for -q_n < z < q_p, -q_n for z <= -q_n, q_p for z >= q_p
void lsq_backward(const Lsq& lsq, std::span<const double> v, std::span<const double> dv_q,
                  std::span<double> dv, double& ds);

/// Where training begins: 2 · mean |v| / sqrt(q_p) (section 2.1).
double lsq_first_step(int bits, std::span<const double> v);

}  // namespace qlora

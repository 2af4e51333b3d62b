#include "training/sharding.h"

#include <algorithm>

#include "core/error.h"

namespace qlora {

std::string_view to_string(Sharding sharding) {
  constexpr std::array<std::string_view, kShardings.size()> kNames{"data parallel", "ZeRO-1",
                                                                   "ZeRO-2", "ZeRO-3"};
  return kNames.at(static_cast<std::size_t>(sharding));
}

std::int64_t state_bytes(std::int64_t n, const StateBytes& bytes, Sharding sharding,
                         std::int64_t P) {
  require(n >= 0 && P >= 1, "state_bytes", "parameters, and at least one process");
  // [held]
  const std::int64_t share = n / P + (n % P != 0 ? 1 : 0);
  const auto held = [&](Sharding from) { return sharding >= from ? share : n; };
  return bytes.weight * held(Sharding::parameters) + bytes.gradient * held(Sharding::gradients) +
         bytes.optimizer * held(Sharding::optimizer);
  // [/held]
}

double ring_bytes(Collective collective, double bytes, std::int64_t P) {
  require(P >= 1, "ring_bytes", "at least one process");
  const double round = bytes * static_cast<double>(P - 1) / static_cast<double>(P);
  return collective == Collective::all_reduce ? 2 * round : round;
}

double step_bytes(std::int64_t n, const StateBytes& bytes, Sharding sharding, std::int64_t P,
                  std::int64_t M) {
  const auto times = static_cast<double>(M);
  const auto sent = [&](Collective collective, std::int64_t each) {
    return ring_bytes(collective, static_cast<double>(each) * static_cast<double>(n), P);
  };
  switch (sharding) {
    case Sharding::none:
      return sent(Collective::all_reduce, bytes.gradient);
    case Sharding::optimizer:
      return sent(Collective::reduce_scatter, bytes.gradient) +
             sent(Collective::all_gather, bytes.weight);
    case Sharding::gradients:
      return times * sent(Collective::reduce_scatter, bytes.gradient) +
             sent(Collective::all_gather, bytes.weight);
    case Sharding::parameters:
      return times * (2 * sent(Collective::all_gather, bytes.weight) +
                      sent(Collective::reduce_scatter, bytes.gradient));
  }
  return 0.0;
}

double ring_rate(const Links& links, std::int64_t P) {
  return P <= links.gpus_per_node ? links.within : std::min(links.within, links.between);
}

Efficiency efficiency(double compute, double exchange) {
  return {compute / (compute + exchange), compute / std::max(compute, exchange)};
}

}  // namespace qlora

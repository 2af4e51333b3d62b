// Training state shared out among the processes of a data-parallel run, and the bytes that this
// costs on the wire.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace qlora {

/// What each of P processes holds only a P-th of (Rajbhandari et al. 2020, "ZeRO: Memory
/// Optimizations Toward Training Trillion Parameter Models", section 5). Each stage also shares out
/// what the one before it does.
enum class Sharding {
  none,       ///< plain data parallel: everybody holds everything
  optimizer,  ///< ZeRO-1: master weights and moments
  gradients,  ///< ZeRO-2
  parameters  ///< ZeRO-3, torch's FSDP
};
/// All of them, by stage.
inline constexpr std::array kShardings{Sharding::none, Sharding::optimizer, Sharding::gradients,
                                       Sharding::parameters};

/// "data parallel", "ZeRO-1", "ZeRO-2", "ZeRO-3".
std::string_view to_string(Sharding sharding);

/// Bytes of one trained parameter.
struct StateBytes {
  std::int64_t weight = 2;      ///< that the passes compute with
  std::int64_t gradient = 2;    ///< as it is exchanged
  std::int64_t optimizer = 12;  ///< a master copy of the weight, and two moments

  /// Of all three.
  std::int64_t total() const { return weight + gradient + optimizer; }
};
/// bfloat16 with a float32 master copy and moments.
inline constexpr StateBytes kMixedPrecision{2, 2, 12};
/// All in float32: the weight is its own master copy.
inline constexpr StateBytes kAllFloat32{4, 4, 8};

/// Bytes that each process holds of n trained parameters; a share has ceil(n / P) of them.
/// @throws std::invalid_argument unless n >= 0 and P >= 1
std::int64_t state_bytes(std::int64_t n, const StateBytes& bytes, Sharding sharding,
                         std::int64_t P);

/// What all processes do together with an array of theirs.
enum class Collective {
  reduce_scatter,  ///< each ends with the sum of its P-th
  all_gather,      ///< each begins with its P-th and ends with all
  all_reduce       ///< each ends with the sum of all: the two, one after the other
};

/// Bytes that each of P processes in a ring sends for an array of `bytes`: (P − 1)/P · bytes for
/// one round, twice that for two (Patarasuk and Yuan 2009, "Bandwidth Optimal All-reduce Algorithms
/// for Clusters of Workstations"). None sends less in all, however it is done.
double ring_bytes(Collective collective, double bytes, std::int64_t P);

/// Bytes that each process sends in an optimizer step of M micro-batches:
///   none        an all-reduce of the gradients, once
///   optimizer   a reduce-scatter of the gradients, once; an all-gather of the stepped weights
///   gradients   a reduce-scatter in every micro-batch: the whole gradient is nowhere to add to;
///               an all-gather of the stepped weights, once
///   parameters  in every micro-batch an all-gather of the weights for the forward pass, another
///               for the backward pass, and a reduce-scatter of the gradients
double step_bytes(std::int64_t n, const StateBytes& bytes, Sharding sharding, std::int64_t P,
                  std::int64_t M);

/// How the GPUs of a cluster reach each other.
struct Links {
  std::int64_t gpus_per_node = 8;  ///< with a link of their own between them
  double within = 0;               ///< bytes a second that a GPU sends over that link
  double between = 0;              ///< bytes a second that a node sends, all its adapters together
};

/// Bytes a second that each of P processes in a ring sends. A ring that leaves its node leaves it
/// once, whatever the number of GPUs in it: the node's adapters carry what one GPU sends, and the
/// slower of the two links sets the pace.
double ring_rate(const Links& links, std::int64_t P);

/// The part of the time in which a process computes, given the seconds of both in a step.
struct Efficiency {
  double apart = 1;   ///< first compute, then exchange
  double hidden = 1;  ///< all of the exchange behind the computation, as far as it goes
};
/// compute / (compute + exchange), and compute / max(compute, exchange).
Efficiency efficiency(double compute, double exchange);

}  // namespace qlora

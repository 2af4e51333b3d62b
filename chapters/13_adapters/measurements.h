// What merging, requantizing and combining do to one weight of the embedded model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qlora::chapter13 {

/// One update W + size · ΔW, ΔW of the length of W, merged and stored in three formats: the length
/// of what is lost of it, as a share of the update.
struct Survival {
  double size = 0;          ///< ‖update‖ / ‖W‖
  double lost_float32 = 0;  ///< of a merged weight in float32
  double lost_bf16 = 0;     ///< in bfloat16
  double lost_nf4 = 0;      ///< in NF4
};

/// @param model  a folder that holds model.layers.1.self_attn.q_proj.weight
std::vector<Survival> survivals(const std::string& model);

/// Two random adapters of rank 4, both with weight 1, combined: the distance from the sum of their
/// updates as a share of it.
struct Mix {
  std::string name;    ///< "linear", "cat", "svd, rank 4"
  std::int64_t R = 0;  ///< of the result
  double off = 0;      ///< ‖result − sum‖ / ‖sum‖
};

/// linear, cat, and svd at ranks 1 to 8.
std::vector<Mix> mixes();

}  // namespace qlora::chapter13

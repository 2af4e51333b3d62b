// Several saved adapters of one base made one.
#pragma once

#include <optional>
#include <span>

#include "checkpoint/peft_adapter.h"
#include "lora/combine.h"

namespace qlora {

/// What PEFT's add_weighted_adapter makes of these adapters: modules that any of them has, with the
/// rank of the first (linear), the sum of the ranks (cat), or `svd_rank` or the largest (svd);
/// lora_alpha is that rank, so that the scaling is 1. One adapter alone is combined linearly, as in
/// PEFT. Other than there use_rslora is off in the result, whose scaling would be √r with it.
/// @param weights  one an adapter
/// @throws UsageError without adapters, on another number of weights, or a weight that is not
///         finite; BadInput, in one line, where the adapters do not go together: of different
///         bases, of DoRA, of different ranks (linear), of different layers, a module of two sizes,
///         target_modules a list here and a pattern there
PeftAdapter combine_adapters(std::span<const PeftAdapter> adapters, std::span<const double> weights,
                             Combination combination,
                             std::optional<std::int64_t> svd_rank = std::nullopt);

}  // namespace qlora

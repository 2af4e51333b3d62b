// Product descriptions without prices, for the pre-training text.
#pragma once

#include <cstdint>
#include <string>

namespace qlora {

/// Description number `index` of a seed: the words of the price items in many more sentence forms,
/// one to four sentences, never a price. Its product is never one of an item (is_for_items), so
/// no item, and no text made from one, is among them.
std::string product_description(std::uint64_t seed, std::int64_t index);

}  // namespace qlora

// The embedded data: products whose price follows a rule, with noise.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qlora {

/// A product and its price: price = round(rule_price · exp(noise · z)), z standard normal.
struct PriceItem {
  std::string description;  ///< what the prompt asks about
  std::int64_t price = 0;   ///< whole dollars
  double rule_price = 0.0;  ///< the price without noise: the median of the price
};

/// The most items of one draw. There are 154 million descriptions: 96 pairs of category and
/// material in 5 quantities and 128 in one, of 16 brands, 6 sizes, 7 conditions, 7 extras and 9
/// colors in 8 sentences, three quarters of them for items. So many items still find new ones to
/// the last.
inline constexpr std::int64_t kMostPriceItems = 10'000'000;

/// `count` items of different descriptions, a function of (seed, count) alone: the first items of a
/// longer draw are the items of a shorter one.
/// @param taken  descriptions that must not come, e.g. those of the training items
/// @throws std::invalid_argument on more than kMostPriceItems
std::vector<PriceItem> draw_price_items(std::uint64_t seed, std::int64_t count,
                                        std::span<const std::string> taken = {});

/// "How much does this cost to the nearest dollar?\n\n<description>\n\nPrice is $"
std::string price_prompt(std::string_view description);

/// The description of such a prompt, or the whole of another.
std::string_view price_description(std::string_view prompt);

/// One row of a data set: {"prompt": …, "completion": "129"}
std::string price_row(const PriceItem& item);

/// What the rule says about a prompt (or a bare description): its category, and the price without
/// noise, the product of the factors of the words that it knows.
struct PriceRule {
  std::string category;  ///< the category's word
  double price = 0.0;    ///< in dollars, not rounded
};
/// @return nothing for a text that is not of the generator's making
std::optional<PriceRule> price_rule(std::string_view text);

/// Seeds and sizes of the embedded splits.
struct PriceSplit {
  const char* name;    ///< of the file, without .jsonl
  std::uint64_t seed;  ///< of draw_price_items
  std::int64_t count;  ///< items in it
};
/// Training, validation and test items.
std::span<const PriceSplit> price_splits();

/// The embedded splits as the bytes of their JSONL files, in the order of price_splits(): no
/// description stands in two of them.
std::vector<std::string> price_files();

}  // namespace qlora

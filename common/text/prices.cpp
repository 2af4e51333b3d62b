#include "text/prices.h"

#include <cmath>
#include <unordered_set>

#include "core/error.h"
#include "core/json.h"
#include "core/random.h"
#include "text/price_words.h"

namespace qlora {
namespace {

// Streams: what is drawn for an item, apart from the product itself.
constexpr std::uint64_t kProductStream = 1;
constexpr std::uint64_t kItemStream = 2;

// Standard deviation of the logarithm of the noise.
constexpr double kNoise = 0.09;

std::string item_description(const Product& product, const Random& random) {
  const auto pattern = random.below(0, static_cast<std::uint32_t>(std::size(kItemPatterns)));
  return describe(product, kItemPatterns[pattern]);
}

constexpr PriceSplit kSplits[] = {
    {"train", 20240701, 12000}, {"validation", 20240702, 500}, {"test", 20240703, 600}};

}  // namespace

std::vector<PriceItem> draw_price_items(std::uint64_t seed, std::int64_t count,
                                        std::span<const std::string> taken) {
  require(count <= kMostPriceItems, "draw_price_items", "at most kMostPriceItems");
  std::unordered_set<std::string> seen(taken.begin(), taken.end());
  std::vector<PriceItem> items;
  for (std::uint64_t i = 0; static_cast<std::int64_t>(items.size()) < count; ++i) {
    const Product product = draw_product(seed, stream_of(kProductStream, i));
    if (!is_for_items(product)) continue;
    const Random random{seed, stream_of(kItemStream, i)};
    PriceItem item;
    item.description = item_description(product, random);
    if (!seen.insert(item.description).second) continue;
    item.rule_price = product.price();
    // Box and Muller's logarithm and cosine in double: the same dollars on every machine, but for
    // a price that falls on half a dollar to the last bits.
    const double u = (random.bits(4) + 1.0) * 0x1p-32;
    const double v = random.bits(5) * 0x1p-32;
    const double z = std::sqrt(-2.0 * std::log(u)) * std::cos(6.28318530717958647692 * v);
    item.price = std::max<std::int64_t>(1, std::llround(item.rule_price * std::exp(kNoise * z)));
    items.push_back(std::move(item));
  }
  return items;
}

std::string price_prompt(std::string_view description) {
  return "How much does this cost to the nearest dollar?\n\n" + std::string(description) +
         "\n\nPrice is $";
}

std::string_view price_description(std::string_view prompt) {
  const std::size_t begin = prompt.find("\n\n");
  const std::size_t end = prompt.rfind("\n\n");
  if (begin == std::string_view::npos || end <= begin) return prompt;
  return prompt.substr(begin + 2, end - begin - 2);
}

std::string price_row(const PriceItem& item) {
  Json row = Json::object();
  row["prompt"] = price_prompt(item.description);
  row["completion"] = std::to_string(item.price);
  return row.dump();
}

std::optional<PriceRule> price_rule(std::string_view text) {
  const auto product = find_product(text);
  if (!product) return std::nullopt;
  return PriceRule{std::string((*product)[Attribute::category]->text), product->price()};
}

std::span<const PriceSplit> price_splits() {
  return kSplits;
}

std::vector<std::string> price_files() {
  std::vector<std::string> files;
  std::vector<std::string> taken;
  for (const PriceSplit& split : kSplits) {
    std::string& text = files.emplace_back();
    for (const PriceItem& item : draw_price_items(split.seed, split.count, taken)) {
      text += price_row(item) + "\n";
      taken.push_back(item.description);
    }
  }
  return files;
}

}  // namespace qlora

#include "text/product_text.h"

#include <iterator>

#include "core/random.h"
#include "text/price_words.h"

namespace qlora {
namespace {

// Streams, apart from those of the price items.
constexpr std::uint64_t kProductStream = 11;
constexpr std::uint64_t kTextStream = 12;

// Whole descriptions in more forms than an item's; each names every attribute.
constexpr const char* kMoreOpenings[] = {
    "For the house or as a gift: [{condition} ][{color} ]{category} of {material}[, {size}], made "
    "by {brand}"
    "[, {extra}][, {quantity}].",
    "We offer this [{size} ][{color} ]{category}. {brand} made it of {material}[ and it is "
    "{condition}]"
    "[. It is {extra}][. Sold as: {quantity}].",
    "{brand} sells this [{condition} ][{size} ]{category} that is made of {material}[ and comes in "
    "{color}]"
    "[, {extra}][, {quantity}].",
    "Look at this {category} of {material}[, {condition}][, {size}][ and {color}]. The maker is "
    "{brand}"
    "[. {extra}][. {quantity}].",
    "Item: {category}. Brand: {brand}. Material: {material}[. Size: {size}][. Color: {color}]"
    "[. Condition: {condition}][. Also: {extra}][. Sold as: {quantity}].",
    "Brand: {brand}. Item: {category}[. Condition: {condition}]. Material: {material}[. Color: "
    "{color}]"
    "[. Sold as: {quantity}][. Size: {size}][. Also: {extra}].",
};

// Questions and answers about what was said: they make the model look back for a word.
constexpr const char* kRecalls[] = {
    "Who makes it? {brand}. What is it? {category}.",
    "What is it made of? {material}. Who makes it? {brand}.",
    "The brand is {brand} and the material is {material}.",
    "Brand {brand}, material {material}, item {category}[, size {size}][, condition {condition}].",
    "In short: {category}, {brand}, {material}[, {size}][, {condition}][, {extra}][, {quantity}].",
    ("What is it? {category}[. Which size? {size}][. Which condition? {condition}]"
     "[. Which color? {color}]."),
    "It is from {brand}[, the size is {size}][, the condition is {condition}].",
    "The {category} is made of {material}[ and its size is {size}].",
};

// Sentences that say nothing about the product, with a number where "#" stands.
constexpr const char* kRemarks[] = {
    "It weighs # pounds and is packed with care.",
    "Ships within # days from our store.",
    "Stock number #.",
    "People who bought it liked it very much.",
    "It is easy to clean and made to last for many years.",
    "Please look at the pictures before you order.",
    "There are # left in the store.",
    "You can send it back within # days.",
    "A good choice for the home, for friends and for the whole family.",
    "It was seen by # visitors this week.",
    "Made with care and tested by hand.",
    "Delivery takes # to # days.",
};

class Draws {
 public:
  explicit Draws(const Random& random) : random_(random) {}
  std::uint32_t below(std::uint32_t bound) { return random_.below(index_++, bound); }
  template <std::size_t N>
  const char* pick(const char* const (&list)[N]) {
    return list[below(N)];
  }

 private:
  Random random_;
  std::uint64_t index_ = 0;
};

// One of an item's sentences, or of the further ones.
std::string_view opening(Draws& draws) {
  constexpr std::size_t kShared = kItemPatterns.size();
  const std::uint32_t i = draws.below(kShared + std::size(kMoreOpenings));
  return i < kShared ? kItemPatterns[i] : kMoreOpenings[i - kShared];
}

std::string remark(Draws& draws) {
  std::string text;
  for (const char* c = draws.pick(kRemarks); *c != '\0'; ++c) {
    if (*c != '#') {
      text += *c;
      continue;
    }
    // As many numbers of one digit as of two and of three.
    const std::uint32_t bound = draws.below(3);
    text += std::to_string(1 + draws.below(bound == 0 ? 9 : bound == 1 ? 99 : 999));
  }
  return text;
}

// The first product of this index that is not for the items.
Product product_of(std::uint64_t seed, std::uint64_t index) {
  for (std::uint64_t attempt = 0;; ++attempt) {
    const Product product = draw_product(seed, stream_of(kProductStream, index, attempt));
    if (!is_for_items(product)) return product;
  }
}

}  // namespace

std::string product_description(std::uint64_t seed, std::int64_t index) {
  const auto number = static_cast<std::uint64_t>(index);
  const Product product = product_of(seed, number);
  Draws draws(Random{seed, stream_of(kTextStream, number)});
  std::string text;
  // The question of the price items, left unanswered: its words become pieces of the vocabulary.
  if (draws.below(8) == 0) text = "How much does this cost to the nearest dollar?\n\n";
  text += describe(product, opening(draws));
  if (draws.below(3) != 0) {
    text += draws.below(2) == 0 ? "\n\n" : " ";
    text += describe(product, draws.pick(kRecalls));
  }
  if (draws.below(3) == 0) text += " " + remark(draws);
  return text;
}

}  // namespace qlora

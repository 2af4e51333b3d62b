// The vocabulary of the price items: every word has its factor, and the price is their product.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qlora {

/// A word or phrase of a description and what it multiplies the price by.
struct PriceWord {
  std::string_view text;  ///< as a description has it, the first letter aside
  double factor = 1.0;    ///< of a category: dollars
};

/// What a description tells about a product. The category's factor is its price in dollars; the
/// color's is 1.
enum class Attribute { category, brand, material, size, condition, extra, quantity, color };
/// How many there are.
inline constexpr std::size_t kAttributes = 8;

/// A product: a word for each attribute that its description names, else nullptr. It always has a
/// category, a brand and a material.
struct Product {
  std::array<const PriceWord*, kAttributes> words{};  ///< by attribute

  /// The word of an attribute, or nullptr.
  const PriceWord* operator[](Attribute a) const { return words[static_cast<std::size_t>(a)]; }
  /// The rule: the product of the factors, in dollars.
  double price() const;
};

/// A product drawn at random, a function of (seed, stream).
Product draw_product(std::uint64_t seed, std::uint64_t stream);

/// Whether a product may become an item of the price data; all others are for the pre-training
/// text. A hash of its words decides (three of four are items), so that no text about an item's
/// product is ever in the pre-training text, whatever seeds the two are drawn with.
bool is_for_items(const Product& product);

/// The product that a text describes: the known words and phrases in it, the longest at each place.
/// Nothing where category, brand or material is missing or two words name one attribute.
std::optional<Product> find_product(std::string_view text);

/// Fills a pattern: "{brand}" is the word, "[…]" vanishes where the word in it is missing, and
/// sentences begin with a capital.
std::string describe(const Product& product, std::string_view pattern);

/// The sentences of a price item, patterns for describe(); each names every attribute.
inline constexpr std::array<std::string_view, 8> kItemPatterns{
    "[{condition} ][{size} ]{brand} {material} {category}[, {color}][, {extra}][, {quantity}].",
    "{category} by {brand}, {material}[, {size}][, {color}][, {condition}][, {extra}][, "
    "{quantity}].",
    "{brand} {category} made of {material}[, {color}][, {size}][, {extra}][, {condition}][, "
    "{quantity}].",
    "This [{size} ]{category} from {brand} is made of {material}[, in {color}][, {condition}][, "
    "{extra}]"
    "[, {quantity}].",
    "[{extra}: ][{quantity}, ][{color} ]{material} {category} by {brand}[, {size}][, {condition}].",
    "{material} {category}[ in {color}][, {size}], from {brand}[. Condition: {condition}][. "
    "{extra}]"
    "[. {quantity}].",
    "[{quantity}: ][{size} ][{color} ]{brand} {category} in {material}[, {condition}][, {extra}].",
    "The {brand} {category}[ in {color}]: {material}[, {extra}][, size {size}][, {condition}]"
    "[, {quantity}].",
};

}  // namespace qlora

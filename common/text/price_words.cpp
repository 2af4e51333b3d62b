#include "text/price_words.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace qlora {
namespace {

// A department: what its products are, and what they are made of.
struct Department {
  std::span<const PriceWord> categories;
  std::span<const PriceWord> materials;
  bool in_sets;  // whether its products are sold by the set
};

constexpr PriceWord kKitchen[] = {{"kettle", 41},       {"frying pan", 39}, {"mixing bowl", 20},
                                  {"coffee maker", 89}, {"toaster", 52},    {"teapot", 32},
                                  {"bread box", 36},    {"food scale", 28}};
constexpr PriceWord kKitchenMaterials[] = {{"plastic", 0.73},         {"aluminum", 0.88},
                                           {"glass", 0.98},           {"ceramic", 1.06},
                                           {"stainless steel", 1.22}, {"copper", 1.52}};
constexpr PriceWord kFurniture[] = {{"chair", 86},     {"dining table", 244}, {"bookshelf", 122},
                                    {"desk", 173},     {"wardrobe", 267},     {"nightstand", 82},
                                    {"footstool", 50}, {"coat rack", 55}};
constexpr PriceWord kFurnitureMaterials[] = {{"pine", 0.78},  {"bamboo", 0.86}, {"birch", 0.96},
                                             {"maple", 1.09}, {"oak", 1.2},     {"walnut", 1.44}};
constexpr PriceWord kClothing[] = {{"jacket", 77},    {"sweater", 48}, {"scarf", 22},
                                   {"backpack", 59},  {"wallet", 30},  {"hat", 25},
                                   {"overcoat", 117}, {"apron", 18}};
constexpr PriceWord kClothingMaterials[] = {{"polyester", 0.72}, {"cotton", 0.89},
                                            {"linen", 1.04},     {"wool", 1.22},
                                            {"silk", 1.42},      {"leather", 1.62}};
constexpr PriceWord kWorkshop[] = {{"hammer", 23},  {"power drill", 93}, {"hand saw", 31},
                                   {"ladder", 105}, {"toolbox", 47},     {"workbench", 162},
                                   {"shovel", 31},  {"wheelbarrow", 87}};
constexpr PriceWord kWorkshopMaterials[] = {{"iron", 0.85},
                                            {"steel", 0.96},
                                            {"fiberglass", 1.07},
                                            {"carbon steel", 1.2},
                                            {"titanium", 1.49}};
constexpr PriceWord kLeisure[] = {{"tent", 133},     {"bicycle", 257}, {"guitar", 187},
                                  {"violin", 218},   {"kayak", 276},   {"telescope", 155},
                                  {"chess set", 43}, {"drum", 111}};
constexpr PriceWord kLeisureMaterials[] = {
    {"nylon", 0.81}, {"canvas", 0.92}, {"cedar", 1.04}, {"mahogany", 1.25}, {"carbon fiber", 1.52}};

constexpr Department kDepartments[] = {{kKitchen, kKitchenMaterials, true},
                                       {kFurniture, kFurnitureMaterials, false},
                                       {kClothing, kClothingMaterials, true},
                                       {kWorkshop, kWorkshopMaterials, false},
                                       {kLeisure, kLeisureMaterials, false}};

constexpr PriceWord kBrands[] = {
    {"Granby", 0.64},    {"Dunmore", 0.7},  {"Pembry", 0.75},  {"Larkin", 0.8},
    {"Hollis", 0.85},    {"Eastwick", 0.9}, {"Oakham", 0.95},  {"Norvik", 1.0},
    {"Kestrel", 1.06},   {"Juniper", 1.12}, {"Merrow", 1.18},  {"Stanwick", 1.25},
    {"Underhill", 1.33}, {"Corvale", 1.42}, {"Ravenna", 1.52}, {"Verity", 1.65}};
constexpr PriceWord kSizes[] = {
    {"mini", 0.64}, {"small", 0.81}, {"medium", 1.0}, {"large", 1.22}, {"extra large", 1.46}};
constexpr PriceWord kConditions[] = {{"new", 1.0},          {"like new", 0.91},
                                     {"refurbished", 0.77}, {"gently used", 0.68},
                                     {"worn", 0.55},        {"antique", 1.36}};
constexpr PriceWord kExtras[] = {{"handmade", 1.25},   {"limited edition", 1.36},
                                 {"gift boxed", 1.07}, {"with warranty", 1.13},
                                 {"foldable", 1.18},   {"factory second", 0.81}};
constexpr PriceWord kQuantities[] = {
    {"set of 2", 1.57}, {"set of 3", 2.03}, {"set of 4", 2.4}, {"set of 6", 3.04}};
constexpr PriceWord kColors[] = {{"red"},  {"blue"},  {"green"},  {"black"},
                                 {"gray"}, {"white"}, {"yellow"}, {"brown"}};

struct Entry {
  Attribute attribute;
  const PriceWord* word;
  std::string lower;
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// All words, the longest first, so that "like new" is found before "new".
std::vector<Entry> make_vocabulary() {
  std::vector<Entry> entries;
  const auto add = [&entries](Attribute attribute, std::span<const PriceWord> words) {
    for (const PriceWord& word : words)
      entries.push_back({attribute, &word, lower_case(word.text)});
  };
  for (const Department& department : kDepartments) {
    add(Attribute::category, department.categories);
    add(Attribute::material, department.materials);
  }
  add(Attribute::brand, kBrands);
  add(Attribute::size, kSizes);
  add(Attribute::condition, kConditions);
  add(Attribute::extra, kExtras);
  add(Attribute::quantity, kQuantities);
  add(Attribute::color, kColors);
  std::ranges::sort(entries, std::ranges::greater{}, [](const Entry& e) { return e.lower.size(); });
  return entries;
}

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

Attribute attribute_named(std::string_view name) {
  constexpr std::string_view kNames[kAttributes] = {"category",  "brand", "material", "size",
                                                    "condition", "extra", "quantity", "color"};
  const auto* found = std::ranges::find(kNames, name);
  require(found != std::end(kNames), "describe", "a pattern that names attributes");
  return static_cast<Attribute>(found - std::begin(kNames));
}

// "{…}" of one pattern part; false where a word is missing.
bool fill(const Product& product, std::string_view part, std::string& out) {
  while (!part.empty()) {
    const std::size_t open = part.find('{');
    out += part.substr(0, open);
    if (open == std::string_view::npos) break;
    const std::size_t close = part.find('}', open);
    require(close != std::string_view::npos, "describe", "a pattern with closed braces");
    const PriceWord* word = product[attribute_named(part.substr(open + 1, close - open - 1))];
    if (word == nullptr) return false;
    out += word->text;
    part.remove_prefix(close + 1);
  }
  return true;
}

}  // namespace

double Product::price() const {
  double price = 1.0;
  for (const PriceWord* word : words) {
    if (word != nullptr) price *= word->factor;
  }
  return price;
}

Product draw_product(std::uint64_t seed, std::uint64_t stream) {
  const Random random{seed, stream};
  Product product;
  std::uint64_t draw = 0;
  const auto pick = [&](std::span<const PriceWord> words) {
    return &words[random.below(draw++, static_cast<std::uint32_t>(words.size()))];
  };
  // Every draw is made, used or not, so that each stands at an index of its own.
  const auto put = [&](Attribute a, std::span<const PriceWord> words, float probability) {
    const bool named = random.uniform(draw++) < probability;
    const PriceWord* word = pick(words);
    if (named) product.words[static_cast<std::size_t>(a)] = word;
  };
  const Department& department =
      kDepartments[random.below(draw++, static_cast<std::uint32_t>(std::size(kDepartments)))];
  put(Attribute::category, department.categories, 1.0f);
  put(Attribute::material, department.materials, 1.0f);
  put(Attribute::brand, kBrands, 1.0f);
  put(Attribute::size, kSizes, 0.7f);
  put(Attribute::condition, kConditions, 0.7f);
  put(Attribute::extra, kExtras, 0.35f);
  put(Attribute::quantity, kQuantities, department.in_sets ? 0.2f : 0.0f);
  put(Attribute::color, kColors, 0.4f);
  return product;
}

bool is_for_items(const Product& product) {
  // FNV-1a over the words, without the color, which does not make another product.
  std::uint32_t hash = 2166136261u;
  for (std::size_t a = 0; a < kAttributes; ++a) {
    if (static_cast<Attribute>(a) == Attribute::color) continue;
    const std::string_view text = product.words[a] == nullptr ? "-" : product.words[a]->text;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    hash = (hash ^ '|') * 16777619u;
  }
  return (hash >> 16) % 4 != 0;
}

std::optional<Product> find_product(std::string_view text) {
  static const std::vector<Entry> vocabulary = make_vocabulary();
  const std::string lower = lower_case(text);
  Product product;
  for (std::size_t at = 0; at < lower.size();) {
    if (at > 0 && is_word_character(lower[at - 1])) {
      ++at;
      continue;
    }
    const auto found = std::ranges::find_if(vocabulary, [&](const Entry& e) {
      const std::size_t end = at + e.lower.size();
      return lower.compare(at, e.lower.size(), e.lower) == 0 &&
             (end == lower.size() || !is_word_character(lower[end]));
    });
    if (found == vocabulary.end()) {
      ++at;
      continue;
    }
    const PriceWord*& place = product.words[static_cast<std::size_t>(found->attribute)];
    if (place != nullptr && place != found->word) return std::nullopt;
    place = found->word;
    at += found->lower.size();
  }
  for (const Attribute a : {Attribute::category, Attribute::brand, Attribute::material}) {
    if (product[a] == nullptr) return std::nullopt;
  }
  return product;
}

std::string describe(const Product& product, std::string_view pattern) {
  std::string text;
  while (!pattern.empty()) {
    const bool optional = pattern.front() == '[';
    const std::size_t end = optional ? pattern.find(']') : pattern.find('[');
    require(!optional || end != std::string_view::npos, "describe",
            "a pattern with closed brackets");
    std::string part;
    const bool whole =
        fill(product, pattern.substr(optional ? 1 : 0, end - (optional ? 1 : 0)), part);
    require(whole || optional, "describe", "words for all that is not in brackets");
    if (whole) text += part;
    pattern.remove_prefix(end == std::string_view::npos ? pattern.size()
                                                        : end + (optional ? 1 : 0));
  }
  bool begins = true;
  for (char& c : text) {
    if (begins && is_word_character(c)) {
      c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      begins = false;
    }
    begins = begins || c == '.' || c == '?';
  }
  return text;
}

}  // namespace qlora

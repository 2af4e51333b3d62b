#include "text/tokenizer_json.h"

#include <limits>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "text/byte_alphabet.h"

namespace qlora {
namespace {

// Each is a level of recursion and a compiled expression.
constexpr std::size_t kMaxSteps = 16;

constexpr std::string_view kAll = "(?s).+";

bool flag(const Json& object, std::string_view key, bool otherwise = false) {
  const Json* value = object.find(key);
  return value == nullptr ? otherwise : value->as_bool();
}

std::string type_of(const Json& object) {
  return object.at("type").as_string();
}

std::int32_t id_of(const Json& value) {
  const bool fits = value.is_integer() && value.as_integer() >= 0 &&
                    value.as_integer() < std::numeric_limits<std::int32_t>::max();
  if (!fits) value.reject("a token id");
  return static_cast<std::int32_t>(value.as_integer());
}

// The members of a Sequence, or the one that is not in a sequence; none for null.
std::vector<const Json*> members_of(const Json& root, std::string_view key, std::string_view list) {
  const Json* value = root.find(key);
  if (value == nullptr) return {};
  if (type_of(*value) != "Sequence") return {value};
  std::vector<const Json*> members;
  for (const Json& member : value->at(list).as_array()) members.push_back(&member);
  return members;
}

// Reads the parts of one file.
class Reader {
 public:
  Reader(const Json& root, const std::string& file) : root_(root), file_(file) {}

  TokenizerJson read() {
    for (const Json* member : members_of(root_, "normalizer", "normalizers")) {
      member->reject("null, no normalizer is supported");
    }
    BytePairs pairs;
    const Json& model = root_.at("model");
    refuse_if_set(model, {"dropout", "continuing_subword_prefix", "end_of_word_suffix"});
    read_vocabulary(model.at("vocab"));
    const std::size_t from_text = ids_.size();
    read_added_tokens();
    place_tokens(from_text, pairs);
    read_merges(model.at("merges"), pairs);
    pairs.ignore_merges = flag(model, "ignore_merges");
    pairs.fuse_unk = flag(model, "fuse_unk");
    if (const Json* unk = model.find("unk_token")) pairs.unk = known(*unk);
    check_decoder();
    return {std::move(pairs), std::move(added_), PreTokenizer(steps()), prefix()};
  }

 private:
  // Null, "", 0, false and [] say no.
  static void refuse_if_set(const Json& object, std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys) {
      const Json* value = object.find(key);
      if (value == nullptr) continue;
      const bool no = (value->is_string() && value->as_string().empty()) ||
                      (value->is_number() && value->as_number() == 0.0) ||
                      (value->is_bool() && !value->as_bool());
      if (!no) value->reject("null, nothing else is supported");
    }
  }

  std::int32_t known(const Json& content) const {
    const auto found = ids_.find(content.as_string());
    if (found == ids_.end()) content.reject("a token of the vocabulary");
    return found->second;
  }

  void read_vocabulary(const Json& vocabulary) {
    ids_.reserve(vocabulary.as_object().size());
    for (const auto& [content, id] : vocabulary.as_object()) {
      if (content.empty()) id.reject("a token that is not empty");
      ids_.emplace(content, id_of(id));
      contents_.emplace_back(content, &id);
    }
  }

  void read_added_tokens() {
    const Json* list = root_.find("added_tokens");
    if (list == nullptr) return;
    std::unordered_set<std::string_view> seen;
    for (const Json& token : list->as_array()) {
      for (const char* key : {"single_word", "lstrip", "rstrip"}) {
        if (flag(token, key)) token.at(key).reject("false, nothing else is supported");
      }
      const Json& content = token.at("content");
      const std::int32_t id = id_of(token.at("id"));
      if (content.as_string().empty()) content.reject("a token that is not empty");
      if (!seen.insert(content.as_string()).second) content.reject("each added token once");
      const auto [known, fresh] = ids_.emplace(content.as_string(), id);
      if (!fresh && known->second != id) {
        token.at("id").reject("the id that the vocabulary has, " + std::to_string(known->second));
      }
      if (fresh) contents_.emplace_back(content.as_string(), &token.at("id"));
      added_.push_back(
          {content.as_string(), id, flag(token, "special"), flag(token, "normalized")});
    }
  }

  // Each id once, none left out: then as many tokens as the file holds are all that is allocated.
  void place_tokens(std::size_t from_text, BytePairs& pairs) const {
    pairs.tokens.resize(contents_.size());
    pairs.in_text.resize(contents_.size());
    if (contents_.empty()) throw BadInput(file_, "model.vocab", "no tokens");
    for (std::size_t i = 0; i < contents_.size(); ++i) {
      const auto& [content, value] = contents_[i];
      const auto id = static_cast<std::size_t>(id_of(*value));
      if (id >= contents_.size()) {
        value->reject("an id below the number of tokens, " + std::to_string(contents_.size()) +
                      ": ids without holes");
      }
      std::string& token = pairs.tokens[id];
      if (!token.empty()) value->reject("an id that no other token has");
      const std::optional<std::string> bytes = bytes_of_symbols(content);
      token = bytes.value_or(std::string(content));
      pairs.in_text[id] = i < from_text && bytes.has_value();
    }
  }

  void read_merges(const Json& merges, BytePairs& pairs) const {
    std::unordered_set<std::uint64_t> seen;
    seen.reserve(merges.as_array().size());
    pairs.merges.reserve(merges.as_array().size());
    std::string result;
    for (const Json& merge : merges.as_array()) {
      const auto [left, right] = sides_of(merge);
      result.assign(left).append(right);
      const auto l = ids_.find(left);
      const auto r = ids_.find(right);
      const auto both = ids_.find(result);
      if (l == ids_.end() || r == ids_.end() || both == ids_.end()) {
        merge.reject("two tokens of the vocabulary that are a third one together");
      }
      const auto pair =
          static_cast<std::uint64_t>(l->second) << 32 | static_cast<std::uint64_t>(r->second);
      if (!seen.insert(pair).second) merge.reject("each merge once");
      pairs.merges.push_back(
          {l->second, r->second, both->second, static_cast<std::int32_t>(pairs.merges.size())});
    }
  }

  static std::pair<std::string_view, std::string_view> sides_of(const Json& merge) {
    if (merge.is_array()) {
      if (merge.size() != 2) merge.reject("two tokens");
      return {merge.at(0).as_string(), merge.at(1).as_string()};
    }
    const std::string_view both = merge.as_string();
    const std::size_t space = both.find(' ');
    if (space == std::string_view::npos || both.find(' ', space + 1) != std::string_view::npos) {
      merge.reject("two tokens with a space between them");
    }
    return {both.substr(0, space), both.substr(space + 1)};
  }

  std::vector<PreTokenizer::Step> steps() const {
    std::vector<PreTokenizer::Step> steps;
    bool byte_level = false;
    const auto members = members_of(root_, "pre_tokenizer", "pretokenizers");
    if (members.size() > kMaxSteps) {
      throw BadInput(file_, "pre_tokenizer.pretokenizers", "more than 16 splits");
    }
    for (const Json* member : members) {
      const Json& type = member->at("type");
      // Behind it a step would see the symbols of bytes.
      if (byte_level) type.reject("nothing behind ByteLevel");
      byte_level = type.as_string() == "ByteLevel";
      if (byte_level) {
        const bool spaced = flag(*member, "add_prefix_space", true);
        const bool splits = flag(*member, "use_regex", true);
        if (splits || spaced) steps.push_back(step(splits ? kGpt2Split : kAll, "pre_tokenizer"));
        if (spaced) steps.back().adds_space = true;
      } else if (type.as_string() == "Digits") {
        const bool single = flag(*member, "individual_digits");
        steps.push_back(step(single ? R"(\p{N})" : R"(\p{N}+)", "pre_tokenizer"));
      } else if (type.as_string() == "Split") {
        steps.push_back(split(*member));
      } else {
        type.reject("Split, Digits or ByteLevel; no other pre-tokenizer is supported");
      }
    }
    return steps;
  }

  PreTokenizer::Step step(std::string_view expression, const std::string& place) const {
    return {Regex(expression, Regex::Syntax::expression, file_, place)};
  }

  PreTokenizer::Step split(const Json& json) const {
    const std::string place = "pre_tokenizer: pattern";
    const Json& pattern = json.at("pattern");
    const Json* literal = pattern.find("String");
    const Json& text = literal != nullptr ? *literal : pattern.at("Regex");
    const bool inverted = flag(json, "invert");
    const std::string& behavior = json.at("behavior").as_string();
    const bool removed = behavior == "Removed";
    if (!removed && behavior != "Isolated") json.at("behavior").reject("Isolated or Removed");
    return {Regex(text.as_string(),
                  literal != nullptr ? Regex::Syntax::literal : Regex::Syntax::expression, file_,
                  place),
            removed && !inverted, removed && inverted};
  }

  // The special tokens before "$A" in the template of a single text.
  std::vector<std::int32_t> prefix() const {
    std::vector<std::int32_t> ids;
    for (const Json* member : members_of(root_, "post_processor", "processors")) {
      const Json& type = member->at("type");
      if (type.as_string() == "ByteLevel") continue;  // offsets alone
      if (type.as_string() != "TemplateProcessing") {
        type.reject("ByteLevel or TemplateProcessing");
      }
      if (!ids.empty()) type.reject("one TemplateProcessing");
      const Json::Array& items = member->at("single").as_array();
      for (const Json& item : items) {
        if (item.find("Sequence") != nullptr) {
          if (&item != &items.back()) item.reject("the text as the last item");
          continue;
        }
        const std::string& name = item.at("SpecialToken").at("id").as_string();
        for (const Json& id : member->at("special_tokens").at(name).at("ids").as_array()) {
          if (id_of(id) >= static_cast<std::int32_t>(contents_.size())) id.reject("a token's id");
          ids.push_back(id_of(id));
        }
      }
      if (items.empty() || items.back().find("Sequence") == nullptr) {
        member->at("single").reject("special tokens and then the text, nothing behind it");
      }
    }
    return ids;
  }

  void check_decoder() const {
    const Json& type = root_.at("decoder").at("type");
    if (type.as_string() != "ByteLevel") type.reject("ByteLevel");
  }

  const Json& root_;
  const std::string& file_;
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::vector<std::pair<std::string_view, const Json*>> contents_;  // with the value of their id
  std::vector<AddedToken> added_;
};

}  // namespace

std::string TokenizerJson::other_kind(const Json& json) {
  const Json& model = json.at("model");
  const Json* type = model.find("type");  // older files leave it out
  if (type != nullptr && type->as_string() != "BPE") return "a " + type->as_string() + " model";
  if (type == nullptr && model.find("merges") == nullptr) return "a model without a type";
  if (flag(model, "byte_fallback")) {
    return "a BPE model with byte_fallback, as SentencePiece's, without its tokenizer.model";
  }
  std::string others;
  for (const Json* member : members_of(json, "pre_tokenizer", "pretokenizers")) {
    if (type_of(*member) == "ByteLevel") return "";
    others += (others.empty() ? ", but with " : ", ") + type_of(*member);
  }
  return "a BPE model without ByteLevel" + others;
}

TokenizerJson TokenizerJson::parse(const Json& json, const std::string& file) {
  return Reader(json, file).read();
}

}  // namespace qlora

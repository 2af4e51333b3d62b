#include "text/byte_level_file.h"

#include <utility>

#include "core/error.h"
#include "text/byte_alphabet.h"

namespace qlora {
namespace {

Json object_of(Json::Object members) {
  return Json(std::move(members));
}

Json byte_level(bool add_prefix_space) {
  return object_of({{"type", "ByteLevel"},
                    {"add_prefix_space", add_prefix_space},
                    {"trim_offsets", true},
                    {"use_regex", false}});
}

Json pre_tokenizer(std::string_view split) {
  const Json pieces = object_of({{"type", "Split"},
                                 {"pattern", object_of({{"Regex", std::string(split)}})},
                                 {"behavior", "Isolated"},
                                 {"invert", false}});
  return object_of(
      {{"type", "Sequence"}, {"pretokenizers", Json::Array{pieces, byte_level(false)}}});
}

// BOS before a text, and before each of two.
Json post_processor(const std::string& bos, std::int32_t id) {
  const auto token = [&](int type_id) {
    return object_of({{"SpecialToken", object_of({{"id", bos}, {"type_id", type_id}})}});
  };
  const auto text = [&](const char* name, int type_id) {
    return object_of({{"Sequence", object_of({{"id", name}, {"type_id", type_id}})}});
  };
  const Json ids = object_of(
      {{"id", bos}, {"ids", Json::Array{std::int64_t{id}}}, {"tokens", Json::Array{bos}}});
  return object_of({{"type", "TemplateProcessing"},
                    {"single", Json::Array{token(0), text("A", 0)}},
                    {"pair", Json::Array{token(0), text("A", 0), token(1), text("B", 1)}},
                    {"special_tokens", object_of({{bos, ids}})}});
}

Json model(const BytePairs& pairs) {
  Json::Object vocabulary;
  for (std::size_t id = 0; id < pairs.tokens.size(); ++id) {
    // The library gives an added token that is not in the vocabulary an id of its own choice.
    const std::string& token = pairs.tokens[id];
    vocabulary.emplace_back(pairs.in_text[id] ? symbols_of_bytes(token) : token,
                            static_cast<std::int64_t>(id));
  }
  const auto symbols = [&](std::int32_t id) {
    return symbols_of_bytes(pairs.tokens[static_cast<std::size_t>(id)]);
  };
  Json::Array merges;
  for (const BytePairs::Merge& m : pairs.merges) {
    merges.emplace_back(symbols(m.left) + " " + symbols(m.right));
  }
  return object_of({{"type", "BPE"},
                    {"dropout", Json()},
                    {"unk_token", Json()},
                    {"continuing_subword_prefix", Json()},
                    {"end_of_word_suffix", Json()},
                    {"fuse_unk", false},
                    {"byte_fallback", false},
                    {"ignore_merges", pairs.ignore_merges},
                    {"vocab", object_of(std::move(vocabulary))},
                    {"merges", std::move(merges)}});
}

}  // namespace

Json tokenizer_json(const BytePairs& pairs, std::string_view split,
                    const std::optional<std::string>& bos) {
  Json::Array added;
  Json processor;
  for (std::size_t id = 0; id < pairs.tokens.size(); ++id) {
    if (pairs.in_text[id]) continue;
    added.push_back(object_of({{"id", static_cast<std::int64_t>(id)},
                               {"content", pairs.tokens[id]},
                               {"single_word", false},
                               {"lstrip", false},
                               {"rstrip", false},
                               {"normalized", false},
                               {"special", true}}));
    if (bos && pairs.tokens[id] == *bos) {
      processor = post_processor(*bos, static_cast<std::int32_t>(id));
    }
  }
  require(!bos || !processor.is_null(), "tokenizer_json", "a BOS that is a special token");
  return object_of({{"version", "1.0"},
                    {"truncation", Json()},
                    {"padding", Json()},
                    {"added_tokens", std::move(added)},
                    {"normalizer", Json()},
                    {"pre_tokenizer", pre_tokenizer(split)},
                    {"post_processor", std::move(processor)},
                    {"decoder", byte_level(true)},
                    {"model", model(pairs)}});
}

}  // namespace qlora

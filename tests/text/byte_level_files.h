// A small byte-level BPE as files, for the suites of this folder.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace qlora::testing {

// A byte in the alphabet of byte-level vocabularies, by the rule of GPT-2's encoder.py.
inline std::string symbol(int byte) {
  const auto itself = [](int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  int code = byte;
  if (!itself(byte)) {
    code = 256;
    for (int b = 0; b < byte; ++b) code += itself(b) ? 0 : 1;
  }
  if (code < 128) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
}

inline std::string symbols(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += symbol(static_cast<unsigned char>(c));
  return out;
}

inline Json added_token(const char* content, int id, bool special) {
  Json token = Json::object();
  token["id"] = id;
  token["content"] = content;
  for (const char* key : {"single_word", "lstrip", "rstrip", "normalized"}) token[key] = false;
  token["special"] = special;
  return token;
}

// Id b is byte b; then the tokens below; then the added ones. The splits are Llama 3's.
inline constexpr int kHe = 256, kLl = 257, kHell = 258, kHello = 259, kSpaceW = 260, kLo = 261,
                     kXyz = 262, kBos = 263, kEos = 264, kEosLong = 265, kNote = 266, kSize = 267;

/// tokenizer.json as the tokenizers library writes it for Llama 3.
inline Json small_tokenizer_json() {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[symbol(byte)] = byte;
  const char* const tokens[] = {"he", "ll", "hell", "hello", " w", "lo", "xyz"};
  for (int i = 0; i < 7; ++i) vocabulary[symbols(tokens[i])] = 256 + i;
  Json model = Json::object();
  model["type"] = "BPE";
  for (const char* key : {"dropout", "unk_token", "continuing_subword_prefix"}) model[key] = Json();
  model["fuse_unk"] = false;
  model["byte_fallback"] = false;
  model["ignore_merges"] = true;
  model["vocab"] = vocabulary;
  // "hello" is he + llo in no merge: hell + o alone makes it. "xyz" no merge makes.
  model["merges"] = Json(Json::Array{"l l", "h e", "he ll", "hell o", "\xC4\xA0 w", "l o"});

  Json byte_level = Json::object();
  byte_level["type"] = "ByteLevel";
  byte_level["add_prefix_space"] = false;
  byte_level["trim_offsets"] = true;
  byte_level["use_regex"] = false;
  Json split = Json::object();
  split["type"] = "Split";
  split["pattern"]["Regex"] =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  split["behavior"] = "Isolated";
  split["invert"] = false;

  Json bos = Json::object();
  bos["SpecialToken"]["id"] = "<|bos|>";
  bos["SpecialToken"]["type_id"] = 0;
  Json text = Json::object();
  text["Sequence"]["id"] = "A";
  text["Sequence"]["type_id"] = 0;
  Json post = Json::object();
  post["type"] = "TemplateProcessing";
  post["single"] = Json(Json::Array{bos, text});
  post["pair"] = Json::array();
  Json& ids_of_bos = post["special_tokens"]["<|bos|>"];
  ids_of_bos["id"] = "<|bos|>";
  ids_of_bos["ids"] = Json(Json::Array{kBos});
  ids_of_bos["tokens"] = Json(Json::Array{"<|bos|>"});

  Json json = Json::object();
  json["version"] = "1.0";
  json["added_tokens"] = Json(
      Json::Array{added_token("<|bos|>", kBos, true), added_token("<|eos|>", kEos, true),
                  added_token("<|eos|>!", kEosLong, true), added_token("<note>", kNote, false)});
  json["normalizer"] = Json();
  json["pre_tokenizer"]["type"] = "Sequence";
  json["pre_tokenizer"]["pretokenizers"] = Json(Json::Array{split, byte_level});
  json["post_processor"]["type"] = "Sequence";
  json["post_processor"]["processors"] = Json(Json::Array{byte_level, post});
  json["decoder"] = byte_level;
  json["model"] = model;
  return json;
}

inline std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned bits = 0;
    for (std::size_t k = i; k < i + 3; ++k) {
      bits = bits << 8 | (k < bytes.size() ? static_cast<unsigned char>(bytes[k]) : 0u);
    }
    for (int shift = 18; shift >= 0; shift -= 6) out += kDigits[bits >> shift & 63];
    for (std::size_t k = bytes.size(); k < i + 3; ++k)
      out[out.size() - (k - bytes.size()) - 1] = '=';
  }
  return out;
}

inline std::string ranked(std::string_view token, int rank) {
  return base64(token) + " " + std::to_string(rank) + "\n";
}

/// The same tokens, without the added ones, as a tiktoken file.
inline std::string small_tiktoken() {
  std::string text;
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    text += ranked(std::string_view(&character, 1), byte);
  }
  const char* const tokens[] = {"he", "ll", "hell", "hello", " w", "lo", "xyz"};
  for (int i = 0; i < 7; ++i) text += ranked(tokens[i], 256 + i);
  return text;
}

}  // namespace qlora::testing

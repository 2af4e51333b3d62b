#include "text/byte_level_tokenizer.h"

#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/byte_level_bpe.h"
#include "text/pre_tokenizer.h"
#include "text/special_ids.h"
#include "text/tiktoken_model.h"
#include "text/tokenizer_json.h"

namespace qlora {
namespace {

class ByteLevelTokenizer : public TokenizerModel {
 public:
  ByteLevelTokenizer(TokenizerJson parts, SpecialIds ids)
      : added_(parts.added_tokens),
        pre_tokenizer_(std::move(parts.pre_tokenizer)),
        bpe_(std::move(parts.pairs)),
        special_(bpe_.tokens().size()) {
    special = ids;
    special.unk = bpe_.unk();
    prefix = std::move(parts.prefix);
    for (const AddedToken& token : parts.added_tokens) {
      special_[static_cast<std::size_t>(token.id)] = token.special;
    }
  }

  void encode(std::string_view text, bool split_special,
              std::vector<std::int32_t>& ids) const override {
    std::string repaired;
    if (!is_utf8(text)) {
      std::string held(text);
      repaired = take_text(held, true, replacement());
      text = repaired;
    }
    ByteLevelBpe::Workspace workspace;
    const std::function<void(std::string_view)> merge = [&](std::string_view piece) {
      bpe_.encode(piece, workspace, ids);
    };
    for (const AddedTokens::Part& part : added_.split(text, split_special)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        pre_tokenizer_.split(part.text, merge);
      }
    }
  }

  void encode_rendered(std::string_view text, std::vector<std::int32_t>& ids) const override {
    encode(text, /*split_special=*/false, ids);
  }

  // tokenizers: ByteLevel::decode_chain joins the bytes of all tokens
  Part decode(std::int32_t id, bool skip_special, bool&) const override {
    if (skip_special && is_special(id)) return {"", true};
    return {bpe_.tokens()[static_cast<std::size_t>(id)], true};
  }

  Replacement replacement() const override { return Replacement::of_beginnings; }
  std::int32_t vocab_size() const override {
    return static_cast<std::int32_t>(bpe_.tokens().size());
  }
  bool is_special(std::int32_t id) const override { return special_[static_cast<std::size_t>(id)]; }

 private:
  AddedTokens added_;
  PreTokenizer pre_tokenizer_;
  ByteLevelBpe bpe_;
  std::vector<bool> special_;
};

std::shared_ptr<const TokenizerModel> made_of(TokenizerJson parts, TokenizerModel::SpecialIds ids,
                                              const std::string& model_folder) {
  if (!model_folder.empty()) {
    const auto vocab_size = static_cast<std::int32_t>(parts.pairs.tokens.size());
    read_special_ids(model_folder, parts.added_tokens, vocab_size, ids);
  }
  return std::make_shared<const ByteLevelTokenizer>(std::move(parts), ids);
}

}  // namespace

std::shared_ptr<const TokenizerModel> tokenizer_of_json(const Json& json, const std::string& file,
                                                        const std::string& model_folder) {
  TokenizerJson parts = TokenizerJson::parse(json, file);
  TokenizerModel::SpecialIds ids;
  if (!parts.prefix.empty()) ids.bos = parts.prefix.front();
  return made_of(std::move(parts), ids, model_folder);
}

std::shared_ptr<const TokenizerModel> tiktoken_tokenizer(std::string_view bytes,
                                                         const std::string& file,
                                                         const std::string& model_folder) {
  BytePairs pairs = parse_tiktoken(bytes, file);
  std::vector<AddedToken> added =
      llama3_special_tokens(static_cast<std::int32_t>(pairs.tokens.size()));
  for (const AddedToken& token : added) {
    pairs.tokens.push_back(token.content);
    pairs.in_text.push_back(false);
  }
  const TokenizerModel::SpecialIds ids{added[0].id, added[1].id, std::nullopt, std::nullopt};
  Regex split(kLlama3Split, Regex::Syntax::expression, file, "");
  return made_of(
      {std::move(pairs), std::move(added), PreTokenizer({{std::move(split)}}), {*ids.bos}}, ids,
      model_folder);
}

}  // namespace qlora

#include "text/tokenizer.h"

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/parallel.h"
#include "text/byte_level_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tiktoken_model.h"
#include "text/tokenizer_json.h"
#include "text/tokenizer_model.h"

namespace qlora {
namespace {

constexpr std::size_t kMaxModelBytes = std::size_t{64} << 20;
constexpr const char* kSupported =
    "supported are a tokenizer.json with a byte-level BPE whose pre-tokenizer is Split, Digits, "
    "ByteLevel or a Sequence of them (Llama 3, SmolLM2, DeepSeek-Coder) and a tokenizer.model of "
    "SentencePiece BPE (Llama 2, TinyLlama, Gemma) or tiktoken (Llama 3)";

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::shared_ptr<const TokenizerModel> from_model_file(std::string_view bytes,
                                                      const std::string& file,
                                                      const std::string& model_folder) {
  return is_tiktoken(bytes) ? tiktoken_tokenizer(bytes, file, model_folder)
                            : sentencepiece_tokenizer(bytes, file, model_folder);
}

[[noreturn]] void refuse(const std::string& file, const std::string& kind) {
  throw BadInput(file, "model", kind + " is not supported; " + kSupported);
}

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerModel> model) : model_(std::move(model)) {}

Tokenizer Tokenizer::load(const std::string& model_folder) {
  const std::string model = model_folder + "/tokenizer.model";
  const std::string json = model_folder + "/tokenizer.json";
  const bool has_model = exists(model);
  if (exists(json)) {
    const Json root = Json::parse(read_file(json, kMaxModelBytes), json);
    const std::string kind = TokenizerJson::other_kind(root);
    if (kind.empty()) return Tokenizer(tokenizer_of_json(root, json, model_folder));
    if (!has_model) refuse(json, kind);
  }
  if (!has_model) throw BadInput(model, "", std::string("there is no tokenizer; ") + kSupported);
  return Tokenizer(from_model_file(read_file(model, kMaxModelBytes), model, model_folder));
}

Tokenizer Tokenizer::from_bytes(std::string_view bytes, const std::string& file) {
  if (!bytes.starts_with('{')) return Tokenizer(from_model_file(bytes, file, ""));
  const Json root = Json::parse(bytes, file);
  const std::string kind = TokenizerJson::other_kind(root);
  if (!kind.empty()) refuse(file, kind);
  return Tokenizer(tokenizer_of_json(root, file, ""));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<std::int32_t> ids;
  if (options.add_bos) ids = model_->prefix;
  model_->encode(text, options.split_special_tokens, ids);
  const std::optional<std::int32_t> eos = eos_id();
  if (options.add_eos && eos) ids.push_back(*eos);
  return ids;
}

bool Tokenizer::begins_with_bos(std::string_view text) const {
  const std::optional<std::int32_t> bos = bos_id();
  if (!bos) return false;
  const std::string name = decode(std::span(&*bos, 1), /*skip_special=*/false);
  return !name.empty() && text.starts_with(name);
}

std::vector<std::int32_t> Tokenizer::encode_rendered(std::string_view text) const {
  std::vector<std::int32_t> ids;
  model_->encode_rendered(text, ids);
  return ids;
}

std::vector<std::vector<std::int32_t>> Tokenizer::encode_batch(std::span<const std::string> texts,
                                                               EncodeOptions options) const {
  std::vector<std::vector<std::int32_t>> rows(texts.size());
  parallel_for(
      static_cast<std::int64_t>(texts.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          rows[i] = encode(texts[i], options);
        }
      });
  return rows;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  DecodeStream stream(*this, skip_special);
  std::string text;
  for (const std::int32_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

std::int32_t Tokenizer::vocab_size() const {
  return model_->vocab_size();
}
std::optional<std::int32_t> Tokenizer::bos_id() const {
  return model_->special.bos;
}
std::optional<std::int32_t> Tokenizer::eos_id() const {
  return model_->special.eos;
}
std::optional<std::int32_t> Tokenizer::pad_id() const {
  return model_->special.pad;
}
std::optional<std::int32_t> Tokenizer::unk_id() const {
  return model_->special.unk;
}
std::int32_t Tokenizer::padding() const {
  return pad_id().value_or(eos_id().value_or(0));
}
bool Tokenizer::adds_eos() const {
  return model_->adds_eos;
}
bool Tokenizer::is_special(std::int32_t id) const {
  return model_for(id).is_special(id);
}

const TokenizerModel& Tokenizer::model_for(std::int32_t id) const {
  require(id >= 0 && id < vocab_size(), "Tokenizer", "an id within the vocabulary");
  return *model_;
}

DecodeStream::DecodeStream(Tokenizer tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

std::string DecodeStream::push(std::int32_t id) {
  const TokenizerModel& model = tokenizer_.model_for(id);
  if (!held_.empty()) at_start_ = false;  // what is held becomes text before all else
  const TokenizerModel::Part part = model.decode(id, skip_special_, at_start_);
  std::string text;
  if (part.joins) {
    held_ += part.bytes;
    text = take_text(held_, false, model.replacement());
  } else {
    text = finish() + part.bytes;
  }
  if (!text.empty()) at_start_ = false;
  return text;
}

std::string DecodeStream::finish() {
  return take_text(held_, true, tokenizer_.model_->replacement());
}

}  // namespace qlora

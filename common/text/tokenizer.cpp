#include "text/tokenizer.h"

#include <sentencepiece_processor.h>

#include <cstdio>

#include "core/error.h"
#include "core/files.h"
#include "core/parallel.h"
#include "text/sentencepiece_model.h"
#include "text/utf8.h"

namespace qlora {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581
constexpr std::size_t kMaxModelBytes = std::size_t{64} << 20;
constexpr const char* kSupported =
    "supported is tokenizer.model as a SentencePiece BPE model, as in Llama 2";

bool exists(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file != nullptr) std::fclose(file);
  return file != nullptr;
}

// Llama 3's tokenizer.model is text: "IQ== 0\n", a token in base64 and its rank a line.
bool is_tiktoken(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size()) return false;
  return line.substr(0, space).find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") ==
             std::string_view::npos &&
         line.substr(space + 1).find_first_not_of("0123456789\r") == std::string_view::npos;
}

std::string with_spaces(std::string_view piece) {
  std::string text;
  for (std::size_t at; (at = piece.find(kSpaceSymbol)) != std::string_view::npos;) {
    text.append(piece.substr(0, at)).append(1, ' ');
    piece.remove_prefix(at + kSpaceSymbol.size());
  }
  return text.append(piece);
}

// Moves what is certain out of `held`: whole characters, and U+FFFD for each byte that none can
// begin with.
std::string drain(std::string& held, bool to_the_end) {
  std::string text;
  std::size_t at = 0;
  while (at < held.size()) {
    const Utf8Character c = first_character(std::string_view(held).substr(at));
    if (c.state == Utf8Character::State::unfinished && !to_the_end) break;
    if (c.state == Utf8Character::State::whole) {
      text.append(held, at, c.length);
      at += c.length;
    } else {
      text += kReplacementCharacter;
      ++at;
    }
  }
  held.erase(0, at);
  return text;
}

}  // namespace

struct Tokenizer::Model {
  std::string name;  // of the file, for messages
  SentencePieceModel file;
  sentencepiece::SentencePieceProcessor library;

  const SentencePieceModel::Piece& piece(std::int32_t id) const {
    require(id >= 0 && static_cast<std::size_t>(id) < file.pieces.size(), "Tokenizer",
            "an id within the vocabulary");
    return file.pieces[static_cast<std::size_t>(id)];
  }
};

Tokenizer::Tokenizer(std::shared_ptr<const Model> model) : model_(std::move(model)) {}

Tokenizer Tokenizer::load(const std::string& model_folder) {
  const std::string path = model_folder + "/tokenizer.model";
  if (exists(path)) return from_bytes(read_file(path, kMaxModelBytes), path);
  const std::string json = model_folder + "/tokenizer.json";
  if (exists(json)) {
    throw BadInput(
        json, "",
        std::string("a folder with tokenizer.json alone is not supported; ") + kSupported);
  }
  throw BadInput(path, "", std::string("there is no tokenizer; ") + kSupported);
}

Tokenizer Tokenizer::from_bytes(std::string_view bytes, const std::string& file) {
  if (is_tiktoken(bytes)) {
    throw BadInput(file, "line 1",
                   std::string("a tiktoken vocabulary (byte-level BPE, as in Llama 3) is not "
                               "supported; ") +
                       kSupported);
  }
  auto model = std::make_shared<Model>();
  model->name = file;
  model->file = SentencePieceModel::parse(bytes, file);
  const auto status =
      model->library.LoadFromSerializedProto(absl::string_view(bytes.data(), bytes.size()));
  if (!status.ok()) throw BadInput(file, "", status.ToString());
  return Tokenizer(std::move(model));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<int> pieces;
  const auto status = model_->library.Encode(absl::string_view(text.data(), text.size()), &pieces);
  if (!status.ok()) throw BadInput(model_->name, "", status.ToString());
  std::vector<std::int32_t> ids;
  ids.reserve(pieces.size() + 2);
  const auto bos = bos_id();
  if (options.add_bos && bos) ids.push_back(*bos);
  ids.insert(ids.end(), pieces.begin(), pieces.end());
  const auto eos = eos_id();
  if (options.add_eos && eos) ids.push_back(*eos);
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
  return static_cast<std::int32_t>(model_->file.pieces.size());
}
std::optional<std::int32_t> Tokenizer::bos_id() const {
  return model_->file.bos;
}
std::optional<std::int32_t> Tokenizer::eos_id() const {
  return model_->file.eos;
}
std::optional<std::int32_t> Tokenizer::pad_id() const {
  return model_->file.pad;
}
std::optional<std::int32_t> Tokenizer::unk_id() const {
  return model_->file.unk;
}
std::int32_t Tokenizer::padding() const {
  return pad_id().value_or(eos_id().value_or(0));
}
bool Tokenizer::is_special(std::int32_t id) const {
  return model_->piece(id).type == SentencePieceModel::Type::control;
}

DecodeStream::DecodeStream(Tokenizer tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

// sentencepiece: SentencePieceProcessor::Decode (0.1.97), one piece at a time
std::string DecodeStream::push(std::int32_t id) {
  using Type = SentencePieceModel::Type;
  const SentencePieceModel& file = tokenizer_.model_->file;
  const SentencePieceModel::Piece& piece = tokenizer_.model_->piece(id);
  if (piece.type == Type::byte) {
    held_ += static_cast<char>(std::stoi(piece.text.substr(3, 2), nullptr, 16));
    std::string text = drain(held_, false);
    if (!text.empty()) at_start_ = false;
    return text;
  }
  std::string text = finish();
  if (!text.empty()) at_start_ = false;
  std::string_view own = piece.text;
  if (piece.type == Type::control) {
    if (skip_special_) return text;
    text += own;
  } else if (piece.type == Type::unknown) {
    text += file.unk_surface;
  } else {
    const bool strips = file.add_dummy_prefix || file.remove_extra_whitespaces;
    if (at_start_ && strips && own.starts_with(kSpaceSymbol)) {
      own.remove_prefix(kSpaceSymbol.size());
      // The dummy prefix is one space; a model that removes white space loses every leading one.
      if (!file.remove_extra_whitespaces) at_start_ = false;
    }
    text += with_spaces(own);
  }
  if (!text.empty()) at_start_ = false;
  return text;
}

std::string DecodeStream::finish() {
  return drain(held_, true);
}

}  // namespace qlora

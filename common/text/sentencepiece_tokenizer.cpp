#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include "core/error.h"
#include "text/sentencepiece_model.h"

namespace qlora {
namespace {

using Type = SentencePieceModel::Type;

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581

std::string with_spaces(std::string_view piece) {
  std::string text;
  for (std::size_t at; (at = piece.find(kSpaceSymbol)) != std::string_view::npos;) {
    text.append(piece.substr(0, at)).append(1, ' ');
    piece.remove_prefix(at + kSpaceSymbol.size());
  }
  return text.append(piece);
}

class SentencePieceTokenizer : public TokenizerModel {
 public:
  SentencePieceTokenizer(std::string_view bytes, const std::string& name)
      : name_(name), file_(SentencePieceModel::parse(bytes, name)) {
    const auto status =
        library_.LoadFromSerializedProto(absl::string_view(bytes.data(), bytes.size()));
    if (!status.ok()) throw BadInput(name, "", status.ToString());
    special = {file_.bos, file_.eos, file_.pad, file_.unk};
    if (file_.bos) prefix = {*file_.bos};
  }

  void encode(std::string_view text, bool, std::vector<std::int32_t>& ids) const override {
    std::vector<int> pieces;
    const auto status = library_.Encode(absl::string_view(text.data(), text.size()), &pieces);
    if (!status.ok()) throw BadInput(name_, "", status.ToString());
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }

  // sentencepiece: SentencePieceProcessor::Decode (0.1.97), one piece at a time
  Part decode(std::int32_t id, bool skip_special, bool& at_start) const override {
    const SentencePieceModel::Piece& piece = file_.pieces[static_cast<std::size_t>(id)];
    std::string_view own = piece.text;
    switch (piece.type) {
      case Type::byte:
        return {std::string(1, static_cast<char>(std::stoi(piece.text.substr(3, 2), nullptr, 16))),
                true};
      case Type::control:
        return {skip_special ? "" : piece.text};
      case Type::unknown:
        return {file_.unk_surface};
      default:
        break;
    }
    const bool strips = file_.add_dummy_prefix || file_.remove_extra_whitespaces;
    if (at_start && strips && own.starts_with(kSpaceSymbol)) {
      own.remove_prefix(kSpaceSymbol.size());
      // The dummy prefix is one space; a model that removes white space loses every leading one.
      if (!file_.remove_extra_whitespaces) at_start = false;
    }
    return {with_spaces(own)};
  }

  Replacement replacement() const override { return Replacement::of_bytes; }
  std::int32_t vocab_size() const override {
    return static_cast<std::int32_t>(file_.pieces.size());
  }
  bool is_special(std::int32_t id) const override {
    return file_.pieces[static_cast<std::size_t>(id)].type == Type::control;
  }

 private:
  std::string name_;  // for messages
  SentencePieceModel file_;
  sentencepiece::SentencePieceProcessor library_;
};

}  // namespace

std::shared_ptr<const TokenizerModel> sentencepiece_tokenizer(std::string_view bytes,
                                                              const std::string& file) {
  return std::make_shared<const SentencePieceTokenizer>(bytes, file);
}

}  // namespace qlora

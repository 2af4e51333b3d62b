#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <mutex>

#include "core/error.h"
#include "text/added_tokens.h"
#include "text/sentencepiece_model.h"
#include "text/special_ids.h"

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

// What a text may name.
std::vector<AddedToken> named_tokens(const SentencePieceModel& model) {
  std::vector<AddedToken> tokens;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    if (piece.type != Type::control && piece.type != Type::unknown) continue;
    tokens.push_back({piece.text, static_cast<std::int32_t>(id), true});
  }
  return tokens;
}

class SentencePieceTokenizer : public TokenizerModel {
 public:
  SentencePieceTokenizer(std::string_view bytes, const std::string& name,
                         const std::string& model_folder)
      : name_(name), file_(SentencePieceModel::parse(bytes, name)), named_(named_tokens(file_)) {
    load(library_, bytes);
    special = {file_.bos, file_.eos, file_.pad, file_.unk};
    const TextEnds ends = read_text_ends(model_folder);
    if (file_.bos && ends.add_bos_token) prefix = {*file_.bos};
    adds_eos = ends.add_eos_token;
  }

  void encode(std::string_view text, bool, std::vector<std::int32_t>& ids) const override {
    encode_by(library_, text, ids);
  }

  // transformers: LlamaTokenizer.tokenize without legacy
  void encode_rendered(std::string_view text, std::vector<std::int32_t>& ids) const override {
    for (const AddedTokens::Part& part : named_.split(text, /*split_special=*/false)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        encode_by(unprefixed(), part.text, ids);
      }
    }
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
  using Library = sentencepiece::SentencePieceProcessor;

  void load(Library& library, std::string_view bytes) const {
    const auto status =
        library.LoadFromSerializedProto(absl::string_view(bytes.data(), bytes.size()));
    if (!status.ok()) throw BadInput(name_, "", status.ToString());
  }

  void encode_by(const Library& library, std::string_view text,
                 std::vector<std::int32_t>& ids) const {
    std::vector<int> pieces;
    const auto status = library.Encode(absl::string_view(text.data(), text.size()), &pieces);
    if (!status.ok()) throw BadInput(name_, "", status.ToString());
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }

  // The same model with add_dummy_prefix, field 3 of normalizer_spec, which is field 3 of the
  // model, false: a field that comes again overrules the one before.
  const Library& unprefixed() const {
    static constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);
    std::call_once(unprefixed_made_, [this] {
      load(unprefixed_, library_.serialized_model_proto().append(kNoDummyPrefix));
    });
    return unprefixed_;
  }

  std::string name_;  // for messages
  SentencePieceModel file_;
  AddedTokens named_;
  Library library_;
  mutable Library unprefixed_;  // few texts need it
  mutable std::once_flag unprefixed_made_;
};

}  // namespace

std::shared_ptr<const TokenizerModel> sentencepiece_tokenizer(std::string_view bytes,
                                                              const std::string& file,
                                                              const std::string& model_folder) {
  return std::make_shared<const SentencePieceTokenizer>(bytes, file, model_folder);
}

}  // namespace qlora

// Text to token ids and back. The model file is SentencePiece's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qlora {

/// What encode() puts around the ids of a text.
struct EncodeOptions {
  bool add_bos = true;   ///< where the tokenizer has a BOS; transformers' add_special_tokens
  bool add_eos = false;  ///< where it has an EOS
};

/// A tokenizer: immutable, cheap to copy, usable from several threads.
class Tokenizer {
 public:
  /// Loads `tokenizer.model` of a model folder, a SentencePiece BPE model as Llama 2 has it.
  /// @throws BadInput if there is none, or if it is damaged or of a kind that is not supported
  static Tokenizer load(const std::string& model_folder);

  /// The same from the bytes of a model file; `file` is named in error messages.
  static Tokenizer from_bytes(std::string_view bytes, const std::string& file);

  /// The ids of a text. Control pieces ("<s>") in the text are text. Bytes that are not UTF-8
  /// become U+FFFD.
  /// @throws BadInput naming the model file, if its pieces do not fit together (none that a trainer
  ///         wrote)
  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  /// encode() of every text, spread over the threads.
  std::vector<std::vector<std::int32_t>> encode_batch(std::span<const std::string> texts,
                                                      EncodeOptions options = {}) const;

  /// The text of ids: bytes of pieces joined, U+2581 as a space, the space of the dummy prefix
  /// dropped, bytes that are not UTF-8 as U+FFFD.
  /// @param skip_special  drops control pieces (BOS, EOS), which are else written as "<s>"
  /// @throws std::invalid_argument on an id outside the vocabulary
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  /// Number of ids, and the special ones among them: nothing where the model has no such piece.
  std::int32_t vocab_size() const;
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;
  std::optional<std::int32_t> pad_id() const;
  std::optional<std::int32_t> unk_id() const;
  /// What fills rows up: the padding token, else EOS, else 0. It is masked, so its value is not
  /// seen.
  std::int32_t padding() const;

  /// Whether an id is a control piece.
  bool is_special(std::int32_t id) const;

 private:
  friend class DecodeStream;
  struct Model;
  explicit Tokenizer(std::shared_ptr<const Model> model);
  std::shared_ptr<const Model> model_;
};

/// Decoding one id at a time, as generation needs it. All parts joined are what decode() gives:
/// an unfinished UTF-8 character is held back until its last byte comes.
class DecodeStream {
 public:
  /// @param skip_special  as in Tokenizer::decode
  explicit DecodeStream(Tokenizer tokenizer, bool skip_special = true);

  /// The text that is certain after one more id. @throws std::invalid_argument as decode() does
  std::string push(std::int32_t id);
  /// What is left: bytes that never became a character, as U+FFFD.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  bool at_start_ = true;
  std::string held_;  // bytes of byte pieces that are not yet whole characters
};

}  // namespace qlora

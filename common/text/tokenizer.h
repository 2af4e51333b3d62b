// Text to token ids and back: SentencePiece's models, as Llama 2 has them, and byte-level BPE, as
// Llama 3.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qlora {

class TokenizerModel;

/// How a text is encoded.
struct EncodeOptions {
  /// What the tokenizer puts before a text, as transformers' add_special_tokens: the BOS of a
  /// SentencePiece model, unless add_bos_token says no, or of a tiktoken model; of a tokenizer.json
  /// what its post_processor says, which for some is nothing although they have a BOS.
  bool add_bos = true;
  bool add_eos = false;  ///< the EOS behind it, where the tokenizer has one
  /// Byte-level BPE: "<|eot_id|>" in the text is text too, not the special token; the option of
  /// that name of transformers. For text by others, which must not end a turn. In a SentencePiece
  /// model special tokens in the text always are text; see encode_rendered().
  bool split_special_tokens = false;
};

/// A tokenizer: immutable, cheap to copy, usable from several threads.
class Tokenizer {
 public:
  /// Loads the tokenizer of a model folder: `tokenizer.json` if it is a byte-level BPE, as in Llama
  /// 3, SmolLM2 and DeepSeek-Coder; else `tokenizer.model`, which is a SentencePiece BPE model, as
  /// in Llama 2, TinyLlama and Gemma, or the tiktoken file of Llama 3. So of Llama 2's folder,
  /// which has both, tokenizer.model is used. A byte-level tokenizer.json with a part that is not
  /// supported is refused, whatever is beside it.
  ///
  /// A byte-level BPE takes BOS, EOS and padding from tokenizer_config.json, where it is silent
  /// from generation_config.json; a SentencePiece model takes add_bos_token and add_eos_token from
  /// tokenizer_config.json, which are true and false where it is silent.
  /// clean_up_tokenization_spaces is not done, nor is it by transformers 5.
  /// @throws BadInput if there is none, or if it is damaged or of a kind that is not supported
  static Tokenizer load(const std::string& model_folder);

  /// The same from the bytes of one file, which is named in error messages: JSON begins with "{", a
  /// tiktoken file with a line of base64 and a number, all else is taken for SentencePiece.
  static Tokenizer from_bytes(std::string_view bytes, const std::string& file);

  /// The ids of a text. Bytes that are not UTF-8 become U+FFFD. A byte-level vocabulary without
  /// tokens for some bytes and without an unknown token leaves such bytes out, as the tokenizers
  /// library does.
  /// @throws BadInput naming the model file, if its pieces do not fit together or its regular
  ///         expression takes too many steps (none that a trainer wrote)
  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  /// Whether a text begins with the name of BOS, as what render_chat() gives does.
  bool begins_with_bos(std::string_view text) const;

  /// The ids of such a text, nothing put before or behind it: special tokens that it names become
  /// their ids, as in transformers. Of SentencePiece these are the control pieces and the unknown
  /// one, and no dummy prefix comes behind them (LlamaTokenizer with legacy=False): "<s>[INST]"
  /// goes on with "[", where encode_chat(), which encodes a turn by itself as Meta's code does, has
  /// "▁[".
  /// @throws BadInput as encode()
  std::vector<std::int32_t> encode_rendered(std::string_view text) const;

  /// encode() of every text, spread over the threads.
  std::vector<std::vector<std::int32_t>> encode_batch(std::span<const std::string> texts,
                                                      EncodeOptions options = {}) const;

  /// The text of ids: bytes of tokens joined; of SentencePiece pieces U+2581 as a space, the space
  /// of the dummy prefix dropped. Bytes that are not UTF-8 become U+FFFD: each, or in a byte-level
  /// BPE each beginning of a character, as the two libraries do.
  /// @param skip_special  drops special tokens (BOS, EOS), which are else written as "<s>"
  /// @throws std::invalid_argument on an id outside the vocabulary
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  /// Number of ids, and the special ones among them: nothing where there is no such token.
  std::int32_t vocab_size() const;
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;
  std::optional<std::int32_t> pad_id() const;
  std::optional<std::int32_t> unk_id() const;
  /// What fills rows up: the padding token, else EOS, else 0. It is masked, so its value is not
  /// seen.
  std::int32_t padding() const;
  /// Whether transformers puts EOS behind a text unasked: add_eos_token of tokenizer_config.json.
  bool adds_eos() const;

  /// Whether an id is a special token (SentencePiece: a control piece).
  /// @throws std::invalid_argument on an id outside the vocabulary
  bool is_special(std::int32_t id) const;

 private:
  friend class DecodeStream;
  explicit Tokenizer(std::shared_ptr<const TokenizerModel> model);
  const TokenizerModel& model_for(std::int32_t id) const;
  std::shared_ptr<const TokenizerModel> model_;
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
  std::string held_;  // bytes that are not yet whole characters
};

}  // namespace qlora

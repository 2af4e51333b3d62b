#include "text/sentencepiece_training.h"

#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

#include "core/error.h"

namespace qlora {
namespace {

// Hands the lines of the texts to the library one by one, without the empty ones.
class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(std::span<const std::string> texts) : texts_(texts) { read_line(); }
  bool done() const override { return line_.empty(); }
  void Next() override { read_line(); }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void read_line() {
    line_.clear();
    while (line_.empty() && text_ < texts_.size()) {
      const std::string& text = texts_[text_];
      const std::size_t end = std::min(text.find('\n', at_), text.size());
      line_ = text.substr(at_, end - at_);
      at_ = end + 1;
      if (at_ > text.size()) {
        ++text_;
        at_ = 0;
      }
    }
  }

  std::span<const std::string> texts_;
  std::size_t text_ = 0;
  std::size_t at_ = 0;
  std::string line_;
};

}  // namespace

std::string train_sentencepiece(std::span<const std::string> texts,
                                const SentencePieceOptions& options) {
  const std::unordered_map<std::string, std::string> arguments = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(options.vocab_size)},
      {"character_coverage", std::to_string(options.character_coverage)},
      {"max_sentence_length", std::to_string(options.max_line_bytes)},
      {"byte_fallback", "true"},
      // A number is read digit by digit, so that nearby prices share tokens.
      {"split_digits", "true"},
      {"allow_whitespace_only_pieces", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "true"},
      {"num_threads", "1"},
      {"minloglevel", "2"},
  };
  Lines iterator(texts);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(arguments, &iterator, &model);
  if (!status.ok()) throw BadInput("", "", "training the vocabulary: " + status.ToString());
  return model;
}

}  // namespace qlora

// encode, decode, render and train-tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "course/options.h"

namespace qlora::chapter07 {

/// The command line of `encode`.
struct EncodeVerb {
  std::string model;                 ///< a folder with a tokenizer
  std::optional<std::string> text;   ///< one row
  std::optional<std::string> input;  ///< or the rows of a JSONL file, from their "text"
  bool no_special_tokens = false;    ///< nothing before the text
  std::string output;                ///< {"input_ids": [[…]]}
  std::string json;                  ///< where the counts go
};

/// The command line of `decode`.
struct DecodeVerb {
  std::string model;                 ///< a folder with a tokenizer
  std::string ids;                   ///< {"input_ids": [[…]]}, rows of any length
  bool keep_special_tokens = false;  ///< write their names into the text
  std::string output;                ///< JSONL with a "text" a row; empty: the text is printed
  std::string json;                  ///< where the texts go, with a provenance
};

/// The command line of `render`.
struct RenderVerb {
  std::string model;                       ///< a folder with a chat template
  std::string input;                       ///< JSONL with "messages", or Guanaco's "text"
  bool add_generation_prompt = false;      ///< end where the answer begins
  std::optional<std::string> date_string;  ///< today's date, for Llama 3.1 and 3.2
  std::string output;                      ///< as of decode
  std::string json;                        ///< likewise
};

/// The command line of `train-tokenizer`.
struct TrainVerb {
  std::vector<std::string> input;           ///< JSONL data sets, or plain text
  std::int64_t vocab_size = 1024;           ///< tokens of all kinds
  std::vector<std::string> special_tokens;  ///< the first ids
  std::optional<std::string> bos_token;     ///< the one of them that stands before a text
  std::string split = "llama3";             ///< whose expression cuts the text into pieces
  std::string ties = "bytes";               ///< which of two pairs as frequent is merged first
  std::string output;                       ///< folder for tokenizer.json
  std::string json;                         ///< where the counts go
};

/// Declare the options of each.
void add_options(Options& verb, EncodeVerb& o);
void add_options(Options& verb, DecodeVerb& o);
void add_options(Options& verb, RenderVerb& o);
void add_options(Options& verb, TrainVerb& o);

/// Do what each says. @throws UsageError, BadInput
void run(const EncodeVerb& o);
void run(const DecodeVerb& o);
void run(const RenderVerb& o);
void run(const TrainVerb& o);

}  // namespace qlora::chapter07

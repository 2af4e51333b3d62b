#include "verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "course/provenance.h"
#include "course/text.h"
#include "text/byte_level_file.h"
#include "text/byte_level_training.h"
#include "text/chat.h"
#include "text/dataset.h"
#include "text/guanaco.h"
#include "text/tokenizer.h"

namespace qlora::chapter07 {
namespace {

constexpr double kMostTokens = 1 << 24;

std::vector<std::string> texts_of(const EncodeVerb& o) {
  if (o.text.has_value() == o.input.has_value()) {
    throw UsageError("one of --text TEXT and --input FILE.jsonl is needed");
  }
  if (o.text) return {*o.text};
  std::vector<std::string> texts;
  for (Example& row : read_dataset(*o.input)) {
    if (row.kind != Example::Kind::text) {
      throw BadInput(*o.input, place_of(row, texts.size()), "expected {\"text\": …}");
    }
    texts.push_back(std::move(row.completion));
  }
  return texts;
}

// A row of token ids below the vocabulary's size.
std::vector<std::int32_t> ids_of(const Json& row, std::int32_t vocab_size) {
  std::vector<std::int32_t> ids;
  for (const Json& id : row.as_array()) {
    if (!id.is_integer() || id.as_integer() < 0 || id.as_integer() >= vocab_size) {
      id.reject("an id below " + std::to_string(vocab_size));
    }
    ids.push_back(static_cast<std::int32_t>(id.as_integer()));
  }
  return ids;
}

std::vector<Message> messages_of(Example& row) {
  if (row.kind == Example::Kind::messages) return std::move(row.messages);
  if (row.kind == Example::Kind::text && is_guanaco(row.completion)) {
    return guanaco_messages(row.completion);
  }
  throw BadInput("", "", "expected \"messages\", or a \"text\" of \"### Human: …\"");
}

// All text of a file that a vocabulary can be learned from.
void append_texts(const std::string& path, std::vector<std::string>& texts) {
  if (!path.ends_with(".jsonl") && !path.ends_with(".json")) {
    texts.push_back(read_file(path));
    return;
  }
  for (const Example& row : read_dataset(path)) {
    if (row.kind != Example::Kind::messages) texts.push_back(row.prompt + row.completion);
    for (const Message& message : row.messages) texts.push_back(message.content);
  }
}

// What is asked for. @throws UsageError where it cannot be
ByteLevelTraining training_of(const TrainVerb& o) {
  ByteLevelTraining options;
  options.vocab_size = static_cast<std::int32_t>(o.vocab_size);
  options.special_tokens = o.special_tokens;
  options.split = o.split == "gpt2" ? kGpt2Split : kLlama3Split;
  options.ties = o.ties == "ids" ? ByteLevelTraining::Ties::smaller_ids
                                 : ByteLevelTraining::Ties::greater_bytes;
  const auto special = static_cast<std::int64_t>(o.special_tokens.size());
  if (o.vocab_size < 256 + special) {
    throw UsageError(fmt::format("--vocab-size {}: 256 bytes and {} special tokens need {}",
                                 o.vocab_size, special, 256 + special));
  }
  if (o.bos_token && std::ranges::count(o.special_tokens, *o.bos_token) != 1) {
    throw UsageError("--bos-token " + *o.bos_token + ": not one of --special-tokens");
  }
  for (const std::string& token : o.special_tokens) {
    if (token.size() < 2 || std::ranges::count(o.special_tokens, token) != 1) {
      throw UsageError("--special-tokens: \"" + token +
                       "\": not of two bytes or more, or twice there");
    }
  }
  return options;
}

void add_model(Options& verb, std::string& model, const char* what) {
  verb.add("--model", model, what).required().value_name("DIR");
}

void add_json(Options& verb, std::string& json) {
  verb.add("--json", json, "write the results there").value_name("FILE");
}

void add_text_output(Options& verb, std::string& output) {
  verb.add("--output", output, "JSON lines with \"text\" to write; else the text is printed")
      .value_name("FILE");
}

// Texts as rows of a data set, or where there is no file one after the other at the terminal.
void put_texts(const char* verb, const std::vector<std::string>& texts, const std::string& output,
               const std::string& json) {
  std::string all;
  Json list = Json::array();
  for (const std::string& text : texts) {
    Json line = Json::object();
    line["text"] = text;
    all += (output.empty() ? text : line.dump()) + "\n";
    list.push_back(text);
  }
  if (output.empty()) {
    fmt::print("{}", all);
  } else {
    write_atomically(output, all);
  }
  Json j = Json::object();
  j["verb"] = verb;
  j["rows"] = static_cast<std::int64_t>(texts.size());
  j["texts"] = std::move(list);
  write_results(json, std::move(j));
}

}  // namespace

void add_options(Options& verb, EncodeVerb& o) {
  add_model(verb, o.model, "a folder with tokenizer.json or tokenizer.model");
  verb.add("--text", o.text, "the text of one row").value_name("TEXT");
  verb.add("--input", o.input, "rows: JSON lines with \"text\"").value_name("FILE");
  verb.add("--no-special-tokens", o.no_special_tokens, "nothing put before or behind a text");
  verb.add("--output", o.output, "JSON with input_ids to write").required().value_name("FILE");
  add_json(verb, o.json);
}

void add_options(Options& verb, DecodeVerb& o) {
  add_model(verb, o.model, "a folder with tokenizer.json or tokenizer.model");
  verb.add("--ids", o.ids, "JSON with input_ids").required().value_name("FILE");
  verb.add("--keep-special-tokens", o.keep_special_tokens, "write BOS, EOS and the like too");
  add_text_output(verb, o.output);
  add_json(verb, o.json);
}

void add_options(Options& verb, RenderVerb& o) {
  add_model(verb, o.model, "a folder with a chat template");
  verb.add("--input", o.input, "JSON lines with \"messages\", or \"text\" of ### Human: …")
      .required()
      .value_name("FILE");
  verb.add("--add-generation-prompt", o.add_generation_prompt, "end where the answer begins");
  verb.add("--date-string", o.date_string, "what Llama 3.1 and 3.2 call today, \"26 Jul 2024\"")
      .value_name("TEXT");
  add_text_output(verb, o.output);
  add_json(verb, o.json);
}

void add_options(Options& verb, TrainVerb& o) {
  verb.add("--input", o.input, "a data set of JSON lines, or plain text; may be given again")
      .required()
      .value_name("FILE");
  verb.add("--vocab-size", o.vocab_size, "special tokens, 256 bytes, and merged tokens")
      .must("be 256 to 2^24", [](double n) { return n >= 256 && n <= kMostTokens; });
  verb.add("--special-tokens", o.special_tokens, "the first ids").comma_separated();
  verb.add("--bos-token", o.bos_token, "the special token that stands before a text")
      .value_name("TOKEN");
  verb.add("--split", o.split, "the expression that cuts text into pieces")
      .choices({"llama3", "gpt2"});
  verb.add("--ties", o.ties, "of pairs as frequent: the greater bytes, or the smaller ids")
      .choices({"bytes", "ids"});
  verb.add("--output", o.output, "folder for tokenizer.json").required().value_name("DIR");
  add_json(verb, o.json);
}

void run(const EncodeVerb& o) {
  const std::vector<std::string> texts = texts_of(o);
  const Tokenizer tokenizer = Tokenizer::load(o.model);
  const EncodeOptions options{.add_bos = !o.no_special_tokens,
                              .add_eos = !o.no_special_tokens && tokenizer.adds_eos()};
  Json rows = Json::array();
  std::int64_t tokens = 0;
  for (const auto& ids : tokenizer.encode_batch(texts, options)) {
    tokens += std::ssize(ids);
    Json::Array row;
    for (const std::int32_t id : ids) row.emplace_back(std::int64_t{id});
    rows.push_back(std::move(row));
  }
  Json json = Json::object();
  json["input_ids"] = std::move(rows);
  write_atomically(o.output, json.dump() + "\n");
  Json j = Json::object();
  j["verb"] = "encode";
  j["rows"] = std::ssize(texts);
  j["tokens"] = tokens;
  j["output"] = o.output;
  write_results(o.json, std::move(j));
}

void run(const DecodeVerb& o) {
  const Tokenizer tokenizer = Tokenizer::load(o.model);
  const Json file = Json::read(o.ids);
  std::vector<std::string> texts;
  for (const Json& row : file.at("input_ids").as_array()) {
    texts.push_back(tokenizer.decode(ids_of(row, tokenizer.vocab_size()), !o.keep_special_tokens));
  }
  put_texts("decode", texts, o.output, o.json);
}

void run(const RenderVerb& o) {
  ChatTemplate chat = chat_template_of(o.model);
  if (o.date_string) chat.date_string = *o.date_string;
  std::vector<Example> rows = read_dataset(o.input);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    try {
      texts.push_back(render_chat(chat, messages_of(rows[i]), o.add_generation_prompt));
    } catch (const BadInput& e) {
      throw BadInput(o.input, place_of(rows[i], i), e.what());
    }
  }
  put_texts("render", texts, o.output, o.json);
}

void run(const TrainVerb& o) {
  const ByteLevelTraining options = training_of(o);
  std::vector<std::string> texts;
  for (const std::string& path : o.input) append_texts(path, texts);
  make_folder(o.output);
  std::size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();

  const auto start = std::chrono::steady_clock::now();
  const BytePairs pairs = train_byte_level(texts, options);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  write_atomically(o.output + "/tokenizer.json",
                   tokenizer_json(pairs, options.split, o.bos_token).dump(1) + "\n");

  const Tokenizer tokenizer = Tokenizer::load(o.output);
  std::size_t tokens = 0;
  for (const auto& ids : tokenizer.encode_batch(texts, {.add_bos = false})) tokens += ids.size();
  fmt::print("{} bytes of text, {} merges, {} tokens in the vocabulary, {:.2f} s\n",
             grouped(static_cast<std::int64_t>(bytes)), grouped(std::ssize(pairs.merges)),
             grouped(std::ssize(pairs.tokens)), took.count());
  fmt::print("the text is {} tokens: {:.2f} bytes a token\n",
             grouped(static_cast<std::int64_t>(tokens)),
             static_cast<double>(bytes) / static_cast<double>(std::max<std::size_t>(tokens, 1)));
  Json j = Json::object();
  j["verb"] = "train-tokenizer";
  j["bytes"] = static_cast<std::int64_t>(bytes);
  j["merges"] = std::ssize(pairs.merges);
  j["vocab_size"] = std::ssize(pairs.tokens);
  j["tokens"] = static_cast<std::int64_t>(tokens);
  j["seconds"] = took.count();
  j["output"] = o.output;
  write_results(o.json, std::move(j));
}

}  // namespace qlora::chapter07

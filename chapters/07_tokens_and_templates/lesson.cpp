#include "lesson.h"

#include <fmt/format.h>

#include "claims.h"
#include "core/random.h"
#include "course/table.h"
#include "measurements.h"
#include "text/chat.h"
#include "text/examples.h"

namespace qlora::chapter07 {
namespace {

// A token in one line, a space as "_".
std::string shown(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c == ' ') {
      text += "_";
    } else if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text;
}

Json tell_merges(const Vocabularies& v) {
  Table table({"rank", "tokens of \" bookshelf\" (a space is written _)"}, "rl");
  Json rows = Json::array();
  for (const MergeStep& step : merge_steps(v.pairs, " bookshelf")) {
    std::string tokens;
    for (const std::string& token : step.tokens) tokens += shown(token) + " ";
    table.add({step.rank < 0 ? "" : std::to_string(step.rank), tokens});
    rows.push_back(tokens);
  }
  fmt::print("A piece is merged, lowest rank first.\n{}\n", table.text());
  return rows;
}

Json tell_texts(const Vocabularies& v) {
  Table table({"text", "bytes", "SentencePiece, 2,048", "byte level, 1,024"}, "lrrr");
  Json rows = Json::array();
  for (const TextCount& row : text_counts(v)) {
    table.add({row.name, std::to_string(row.bytes), std::to_string(row.sentencepiece),
               std::to_string(row.byte_level)});
    Json j = Json::object();
    j["text"] = row.text;
    j["bytes"] = row.bytes;
    j["sentencepiece"] = row.sentencepiece;
    j["byte_level"] = row.byte_level;
    rows.push_back(std::move(j));
  }
  fmt::print("Tokens of a text in the two vocabularies of the tree, without BOS.\n{}\n",
             table.text());
  return rows;
}

Json tell_lookup() {
  constexpr std::int64_t V = 2048, C = 192, T = 40;
  std::vector<float> E(V * C);
  for (std::size_t i = 0; i < E.size(); ++i) E[i] = Random{7, 3}.normal(i);
  std::vector<std::int32_t> ids;
  ids.reserve(T);
  for (std::uint64_t t = 0; t < T; ++t) {
    ids.push_back(static_cast<std::int32_t>(Random{7, 4}.below(t, V)));
  }
  const double difference = product_minus_lookup(ids, E, C);
  fmt::print(
      "{} one-hot rows of {} times E ({} x {}): {} multiplications, and the result differs\n"
      "from the rows of E by {}. Looking them up copies {} numbers.\n\n",
      T, grouped(V), grouped(V), C, grouped(T * V * C), difference, grouped(T * C));
  Json j = Json::object();
  j["difference"] = difference;
  j["multiplications"] = T * V * C;
  return j;
}

Json tell_templates(const Vocabularies& v) {
  const std::vector<Message> turn = {
      {"system", "Be brief."}, {"user", "What is a kettle?"}, {"assistant", "A pot."}};
  const ChatTemplate llama2{ChatTemplate::Kind::llama2}, llama3{ChatTemplate::Kind::llama3};
  const ChatTemplate llama32{ChatTemplate::Kind::llama3_1, "26 Jul 2024"};
  const std::string instruction = instruction_text(turn[1].content, turn[2].content);
  const auto tokens = [&](const std::string& text) {
    return std::to_string(v.byte_level.encode(text, {.add_bos = false}).size());
  };
  Table table({"template", "tokens", "text"}, "lrl");
  Json rows = Json::array();
  const auto add = [&](const char* name, const std::string& text) {
    table.add({name, tokens(text), shown(text)});
    rows.push_back(text);
  };
  add("instruction", instruction);
  add("Llama 2", render_chat(llama2, turn));
  add("Llama 3", render_chat(llama3, turn));
  add("Llama 3.2", render_chat(llama32, turn));
  fmt::print("The same turn in four templates, in data/tiny-bpe's tokens.\n{}\n", table.text());
  return rows;
}

Json tell_labels(const Vocabularies& v) {
  const Example row{Example::Kind::prompt_completion, "Price is $", "129", {}};
  const TokenizedExample example = tokenize_example(row, v.byte_level);
  std::vector<std::string> headings = {""}, tokens = {"token"}, ids = {"id"}, labels = {"label"};
  for (std::size_t t = 0; t < example.input_ids.size(); ++t) {
    const std::int32_t id = example.input_ids[t];
    headings.push_back(std::to_string(t));
    tokens.push_back(shown(v.byte_level.decode(std::vector{id}, false)));
    ids.push_back(std::to_string(id));
    labels.push_back(std::to_string(example.labels[t]));
  }
  Table table(headings, "lrrrrrrrrrr");
  for (const auto& cells : {tokens, ids, labels}) table.add(cells);
  fmt::print("A row of {{\"prompt\": \"Price is $\", \"completion\": \"129\"}}.\n{}\n",
             table.text());
  Json j = Json::array();
  for (const std::int32_t label : example.labels) j.push_back(label);
  return j;
}

Json tell_padding(const Vocabularies& v) {
  Table table({"price items, 16 a batch", "positions", "tokens", "padding"}, "lrrr");
  Json rows = Json::array();
  for (const Layout& layout : layouts(v)) {
    table.add({layout.name, grouped(layout.positions), grouped(layout.tokens),
               fmt::format("{:.1f} %", 100 * layout.padding())});
    rows.push_back(layout.padding());
  }
  fmt::print("{}", table.text());
  return rows;
}

}  // namespace

Json tell() {
  const Vocabularies v = embedded_vocabularies();
  Json j = Json::object();
  j["merges"] = tell_merges(v);
  j["texts"] = tell_texts(v);
  j["lookup"] = tell_lookup();
  j["templates"] = tell_templates(v);
  j["labels"] = tell_labels(v);
  j["padding"] = tell_padding(v);
  return j;
}

}  // namespace qlora::chapter07

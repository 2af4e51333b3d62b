#include "claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/matmul.h"
#include "core/random.h"
#include "course/text.h"
#include "text/chat.h"
#include "text/dataset.h"
#include "text/guanaco.h"
#include "text/tiktoken_model.h"

namespace qlora::chapter07 {
namespace {

const ChatTemplate kLlama2{ChatTemplate::Kind::llama2};

// A text in one line, as a program writes it.
std::string escaped(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  return line;
}

std::int64_t count(std::string_view text, std::string_view word) {
  std::int64_t found = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string_view::npos; ++at) ++found;
  return found;
}

// "[0,1,0,0,...]"
std::string first_entries(const std::vector<float>& x) {
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) text += fmt::format("{},", x[i]);
  return "[" + text + "...]";
}

std::int64_t vocabulary(const CourseInputs& in) {
  return in.byte_pair_tokens + std::ssize(llama3_special_tokens(in.byte_pair_tokens));
}

void one_hot_vectors(Ledger& ledger, const CourseInputs& in) {
  const std::int64_t V = vocabulary(in);
  ledger.number("TK-01", static_cast<double>(V));
  const std::vector<float> x = one_hot(in.and_index, V);
  ledger.checked(
      "TK-02",
      fmt::format("{} entries, {} B as float32, {} of them not zero", grouped(V), grouped(V * 4),
                  std::ranges::count_if(x, [](float v) { return v != 0; })),
      std::ranges::count(x, 1.0f) == 1 && std::ranges::count(x, 0.0f) == V - 1);
  const auto claim = [&](std::string_view id, std::int64_t index) {
    const std::vector<float> right = one_hot(index, V), course = one_hot(index - 1, V);
    ledger.checked(id,
                   fmt::format("index {} is {}; {} is index {}", index, first_entries(right),
                               first_entries(course), index - 1),
                   right[static_cast<std::size_t>(index)] == 1.0f && right != course);
  };
  claim("TK-03", in.and_index);
  claim("TK-04", in.yes_index);

  std::vector<float> E(in.table_rows * in.table_width);
  for (std::size_t i = 0; i < E.size(); ++i) E[i] = Random{7, 1}.normal(i);
  std::vector<std::int32_t> ids;
  ids.reserve(40);
  for (std::int64_t t = 0; t < 40; ++t) {
    ids.push_back(static_cast<std::int32_t>(Random{7, 2}.below(
        static_cast<std::uint64_t>(t), static_cast<std::uint32_t>(in.table_rows))));
  }
  const double difference = product_minus_lookup(ids, E, in.table_width);
  ledger.checked("TK-05",
                 fmt::format("one-hot rows times E ({}, {}) minus rows of E: {}", in.table_rows,
                             in.table_width, difference),
                 difference == 0.0);
  ledger.number("TK-06", static_cast<double>(V * in.hidden));
  double padding = std::nan("");
  for (const AddedToken& token : llama3_special_tokens(in.byte_pair_tokens)) {
    if (token.content == in.padding) padding = token.id;
  }
  ledger.number("TK-07", padding);
}

void templates(Ledger& ledger, const CourseInputs& in) {
  const std::vector<Message> messages = {
      {"system", in.system}, {"user", in.user}, {"assistant", in.answer}};
  const std::string text = render_chat(kLlama2, messages);
  ledger.checked("TK-08", escaped(text), text == in.llama2_text);

  const std::vector<Message> turns = guanaco_messages(in.guanaco);
  const std::string converted = render_chat(kLlama2, turns);
  ledger.checked("TK-09", escaped(converted.substr(0, 10)),
                 converted.starts_with("<s>[INST] ") && !converted.starts_with("<ss>"));
  std::string roles;
  for (const Message& turn : turns) roles += (roles.empty() ? "" : ", ") + turn.role;
  ledger.checked("TK-10", roles + ": " + escaped(converted),
                 converted.find("###") == std::string::npos && converted.ends_with("</s>"));
  const std::int64_t markers = count(in.guanaco, "Human:") + count(in.guanaco, "Assistant:");
  ledger.checked("TK-11",
                 fmt::format("{} of {} turns are kept, the last is of the {}", turns.size(),
                             markers, turns.back().role),
                 turns.back().role == "assistant" && std::ssize(turns) == markers - 1);
  std::int64_t rows = 0;
  for (std::int64_t i = 0; i < in.guanaco_rows; ++i) {
    const std::string row = fmt::format("### Human: question {0}### Assistant: answer {0}", i);
    const std::string expected = fmt::format("<s>[INST] question {0} [/INST] answer {0} </s>", i);
    if (render_chat(kLlama2, guanaco_messages(row)) == expected) ++rows;
  }
  ledger.checked("TK-12",
                 fmt::format("{} rows rewritten, none with a <<SYS>> block", grouped(rows)),
                 rows == in.guanaco_rows);
  const std::string row = instruction_text(in.instruction, in.response);
  ledger.checked("TK-13", escaped(row), row == in.instruction_format);
}

}  // namespace

std::vector<float> one_hot(std::int64_t index, std::int64_t V) {
  std::vector<float> x(static_cast<std::size_t>(V), 0.0f);
  x.at(static_cast<std::size_t>(index)) = 1.0f;
  return x;
}

double product_minus_lookup(std::span<const std::int32_t> ids, std::span<const float> E,
                            std::int64_t C) {
  const std::int64_t T = std::ssize(ids), V = std::ssize(E) / C;
  std::vector<float> X, Y(T * C);
  for (const std::int32_t id : ids) {
    const std::vector<float> row = one_hot(id, V);
    X.insert(X.end(), row.begin(), row.end());
  }
  matmul<float>(Transpose::no, Transpose::no, T, C, V, 1.0f, X.data(), V, E.data(), C, 0.0f,
                Y.data(), C);
  double largest = 0.0;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t c = 0; c < C; ++c) {
      largest = std::max(largest, std::abs(double{Y[t * C + c]} - double{E[ids[t] * C + c]}));
    }
  }
  return largest;
}

void fill_claims(Ledger& ledger, const CourseInputs& inputs) {
  one_hot_vectors(ledger, inputs);
  templates(ledger, inputs);
  ledger.not_checkable(
      "TK-14", "The data set is on the hub, and not here; its rows are counted there.",
      "python3 -c \"from datasets import load_dataset; "
      "print(load_dataset('mlabonne/guanaco-llama2-1k', split='train').num_rows)\"");
  ledger.test("TK-15", "Chapter07.AnotherTemplateGivesOtherIds");
}

}  // namespace qlora::chapter07

#include "lesson.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "claims.h"
#include "course/table.h"

namespace qlora::chapter06 {
namespace {

// A row of the ledger: the course's text and number, the computed value, the verdict.
struct Row {
  std::string course, unit, verdict;
  double printed = 0.0, computed = 0.0;
};

Row row_of(const Json& rows, const std::string& id) {
  for (const Json& row : rows.as_array()) {
    if (row.at("id").as_string() != id) continue;
    const std::string& course = row.at("course").as_string();
    return {course, row.at("unit").as_string(), row.at("verdict").as_string(),
            std::strtod(course.c_str(), nullptr), row.at("value").as_number()};
  }
  throw std::invalid_argument("no claim " + id);
}

// By how much the course's number is off, where it is more than a rounding.
std::string miss(const Row& row) {
  if (row.verdict != "APPROXIMATE") return "";
  if (row.printed < row.computed &&
      row.printed + std::pow(10.0, row.printed < 1 ? -1 : 0) > row.computed) {
    return "cut off";
  }
  return fmt::format("{:+.1f} %", 100.0 * (row.printed / row.computed - 1.0));
}

Json tell_modes(const CourseInputs& in) {
  Table table({"module", "W (N x K)", "lite: r=32", "full: r=256"}, "lrrr");
  std::int64_t lite = 0, full = 0;
  for (const LinearShape& linear : in.layer) {
    const bool in_lite = linear.name.starts_with("self_attn.");
    const std::int64_t l = in_lite ? lora_parameters(linear, in.lite_rank) : 0;
    const std::int64_t f = lora_parameters(linear, in.full_rank);
    table.add({linear.name, fmt::format("{} x {}", linear.N, linear.K), in_lite ? grouped(l) : "",
               grouped(f)});
    lite += l;
    full += f;
  }
  table.rule();
  table.add({"one layer", "", grouped(lite), grouped(full)});
  lite *= in.layers;
  full *= in.layers;
  table.add({fmt::format("{} layers", in.layers), "", grouped(lite), grouped(full)});
  const auto size = [&](std::int64_t n) {
    return fmt::format("{:.1f} MB", static_cast<double>(n) * 4 / 1e6);
  };
  table.add({"in float32", "", size(lite), size(full)});
  fmt::print("Llama 3.2 3B: r (N + K) for each module.\n{}\n", table.text());
  Json j = Json::object();
  j["lite"] = lite;
  j["full"] = full;
  return j;
}

Json tell_lines(const CourseInputs& in) {
  const std::int64_t base = base_parameters(in);
  Json j = Json::array();
  const auto line = [&](const char* what, std::int64_t trainable) {
    j.push_back(trainable_line({trainable, base + trainable}));
    fmt::print("{}\n  {}\n", what, j.as_array().back().as_string());
  };
  fmt::print("print_trainable_parameters() of Llama 3.2 3B\n");
  line("q_proj, v_proj at r=16 (the course prints 8,388,608, 3,008,388,608 and 0.28%):",
       adapters(in, {"q_proj", "v_proj"}, in.printed_rank));
  line("lite: q, k, v, o at r=32",
       adapters(in, {"q_proj", "k_proj", "v_proj", "o_proj"}, in.lite_rank));
  line("full: all seven at r=256", all_linear(in, in.full_rank));
  fmt::print("\n");
  return j;
}

const char* name_of(Method method) {
  switch (method) {
    case Method::fine_tune:
      return "Fine-Tune";
    case Method::prefix_embed:
      return "PrefixEmbed";
    case Method::prefix_layer:
      return "PrefixLayer";
    case Method::adapter_h:
      return "Adapter-H";
    case Method::lora:
      return "LoRA";
  }
  return "";
}

const char* formula_of(Method method) {
  switch (method) {
    case Method::fine_tune:
      return "12 L d² + 13 L d + (V+P+2) d";
    case Method::prefix_embed:
      return "d (l_p + l_i)";
    case Method::prefix_layer:
      return "L d (l_p + l_i)";
    case Method::adapter_h:
      return "2 L (2 d r + r + d)";
    case Method::lora:
      return "2 L d · sum of the ranks";
  }
  return "";
}

Json tell_gpt3(const CourseInputs& in, const Json& ledger) {
  Table table({"method", "formula", "setting", "course", "computed", "missed by"}, "lllrrr");
  Json rows = Json::array();
  const char* last = "";
  for (const MethodRow& row : in.gpt3_rows) {
    const Row r = row_of(ledger, row.id);
    const char* name = name_of(row.method);
    const bool again = std::string_view(name) == last;
    if (!again && *last != '\0') table.rule();
    table.add({again ? "" : name, again ? "" : formula_of(row.method), row.setting, r.course,
               grouped(trainable(in, row)), miss(r)});
    last = name;
    rows.push_back(trainable(in, row));
  }
  fmt::print(
      "GPT-3, d = {}, L = {}: the LoRA paper's table by its own formulas.\n{}"
      "PrefixLayer's excess is the paper's own, and no simple rule gives it. The course labels "
      "the\n"
      "last row r_a; it is r_q.\n\n",
      grouped(in.gpt3.d), in.gpt3.L, table.text());
  return rows;
}

Json tell_ranks(const CourseInputs& in, const Json& ledger) {
  std::vector<std::string> headings{"2 r √N"};
  for (const RankColumn& column : in.rank_columns) {
    headings.emplace_back(column.name);
    headings.emplace_back("course");
  }
  Table table(headings, "lrrrrrrrr");
  Json rows = Json::array();
  for (std::int64_t r : in.rank_rows) {
    std::vector<std::string> cells{fmt::format("r = {}", r)};
    Json row = Json::array();
    for (const RankColumn& column : in.rank_columns) {
      const Row cell = row_of(ledger, fmt::format("RT-{}-{}", r, column.name));
      const double value = one_matrix_parameters(column.parameters, r);
      cells.push_back(grouped(std::llround(value)));
      cells.push_back(cell.course + (cell.verdict == "APPROXIMATE" ? "*" : ""));
      row.push_back(value);
    }
    table.add(cells);
    rows.push_back(std::move(row));
  }
  table.rule();
  const auto real = [&](const char* name, const auto& count) {
    std::vector<std::string> cells{name};
    for (const RankColumn& column : in.rank_columns) {
      cells.push_back(grouped(count(column)));
      cells.emplace_back("");
    }
    table.add(cells);
  };
  real("k, r = 1", [](const RankColumn& c) { return real_count(c, {c.key_value_width}, 1); });
  real("q v, r = 8",
       [](const RankColumn& c) { return real_count(c, {c.d, c.key_value_width}, 8); });
  fmt::print(
      "The Rank table: N the round size, the model one square matrix. Below it what Llama 2 7B,\n"
      "13B, 70B and Falcon 180B really take on k, and on q and v, in all layers.\n{}"
      "* cut off, not rounded. No real set of modules is as small as a cell of rank 1.\n",
      table.text());
  return rows;
}

}  // namespace

Json tell(const Ledger& ledger) {
  const CourseInputs in;
  const Json rows = ledger.json();
  Json j = Json::object();
  j["modes"] = tell_modes(in);
  j["lines"] = tell_lines(in);
  j["gpt3"] = tell_gpt3(in, rows);
  j["rank_table"] = tell_ranks(in, rows);
  return j;
}

}  // namespace qlora::chapter06

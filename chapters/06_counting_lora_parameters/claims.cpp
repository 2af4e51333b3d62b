#include "claims.h"

#include <fmt/format.h>

#include <cmath>

#include "course/text.h"
#include "lora/lora.h"

namespace qlora::chapter06 {
namespace {

constexpr double kMega = 1e6, kGiga = 1e9;
const std::vector<std::string> kAttention{"q_proj", "k_proj", "v_proj", "o_proj"};
const std::vector<std::string> kMinimum{"q_proj", "v_proj"};

double number(std::int64_t n) {
  return static_cast<double>(n);
}

// An adapter of rank R on one layer's module.
std::int64_t module(const CourseInputs& in, std::string_view ending, std::int64_t R) {
  for (const LinearShape& linear : in.layer) {
    if (linear.name.ends_with(ending)) return lora_parameters(linear, R);
  }
  throw std::invalid_argument("the layer has no " + std::string(ending));
}

std::size_t adapter_count(const CourseInputs& in, NamesOrPattern targets) {
  LoraConfig config;
  config.target_modules = std::move(targets);
  return adapter_shapes(config, stacked(in.layer, in.layers)).size();
}

// The alpha whose scaling is the course's factor at this rank.
double alpha(const CourseInputs& in, std::int64_t R) {
  return in.alpha_factor / lora_scaling(1.0, R, false);
}

// Bytes of so many parameters.
double bytes(std::int64_t parameters, DType dtype) {
  return number(parameters) * static_cast<double>(size_of(dtype));
}

double percent(std::int64_t part, std::int64_t whole) {
  return 100.0 * number(part) / number(whole);
}

void lite(Ledger& ledger, const CourseInputs& in) {
  const std::int64_t r = in.lite_rank, all = adapters(in, kAttention, r);
  ledger.number("PC-01", number(module(in, "q_proj", r)));
  ledger.number("PC-02", number(module(in, "k_proj", r)));
  ledger.number("PC-03", number(module(in, "v_proj", r)));
  ledger.number("PC-04", number(module(in, "o_proj", r)));
  CourseInputs one_layer = in;
  one_layer.layers = 1;
  ledger.number("PC-05", number(adapters(one_layer, kAttention, r)));
  ledger.number("PC-06", number(all));
  const double megabytes = bytes(all, in.adapter_dtype) / kMega;
  ledger.number("PC-07", megabytes);
  ledger.number("PC-08", number(all) / kMega);
  ledger.number("PC-09", megabytes);
  ledger.number("PC-10", megabytes);
  ledger.number("PC-11", alpha(in, r));
  ledger.number("PC-12", static_cast<double>(adapter_count(in, kAttention)));
  ledger.number("PC-13", bytes(1, in.adapter_dtype));
}

void full(Ledger& ledger, const CourseInputs& in) {
  const std::int64_t r = in.full_rank, all = all_linear(in, r);
  const std::int64_t lite = adapters(in, kAttention, in.lite_rank);
  ledger.number("PC-14", number(module(in, "gate_proj", r)));
  ledger.number("PC-15", number(module(in, "up_proj", r)));
  ledger.number("PC-16", number(module(in, "down_proj", r)));
  ledger.number("PC-17", number(all));
  ledger.number("PC-18", bytes(all, in.adapter_dtype) / kMega);
  ledger.number("PC-19", alpha(in, r));
  ledger.number("PC-20", static_cast<double>(adapter_count(in, "all-linear")));
  ledger.number("PC-21", number(all) / number(lite));
  ledger.number("PC-22", bytes(all, in.adapter_dtype) / kGiga);
  ledger.checked(
      "PC-23",
      fmt::format("lite {:.1f} MB; full {:.3f} GB in float32, {:.3f} GB in 16 bits",
                  bytes(lite, in.adapter_dtype) / kMega, bytes(all, in.adapter_dtype) / kGiga,
                  bytes(all, in.half_dtype) / kGiga),
      bytes(lite, in.adapter_dtype) < kGiga && bytes(all, in.adapter_dtype) > kGiga);
}

void printed_line(Ledger& ledger, const CourseInputs& in) {
  const std::int64_t r = in.printed_rank, base = base_parameters(in);
  const std::int64_t minimum = adapters(in, kMinimum, r), recommended = adapters(in, kAttention, r),
                     maximum = all_linear(in, r);
  // [line]
  const TrainableParameters count{minimum, base + minimum};
  ledger.number("PC-24", number(count.trainable));
  ledger.number("PC-25", number(count.all));
  // The right value stands with four decimals, as PEFT prints it.
  ledger.number("PC-26", trainable_percentage(count), 0.5e-4);
  ledger.text("PC-27", trainable_line(count));
  // [/line]
  ledger.number("PC-28", number(maximum));
  ledger.checked(
      "PC-29",
      fmt::format("at r={}: {:.4f} %, {:.4f} %, {:.4f} % of all parameters", r,
                  percent(minimum, base + minimum), percent(recommended, base + recommended),
                  percent(maximum, base + maximum)),
      minimum < recommended && recommended < maximum);
  ledger.number("PC-30", percent(all_linear(in, in.full_rank), base));
}

void gpt3_table(Ledger& ledger, const CourseInputs& in) {
  ledger.has_own_table("GT-");
  for (const MethodRow& row : in.gpt3_rows) {
    const double unit = row.method == Method::fine_tune ? kGiga : kMega;
    ledger.number(row.id, number(trainable(in, row)) / unit);
  }
  const MethodRow& last = in.gpt3_rows.back();
  const std::int64_t one = square_lora_parameters(in.gpt3, 1);
  ledger.checked("GT-21",
                 fmt::format("r_q: {} is {} ranks of 1, one each on q, k, v and o",
                             grouped(trainable(in, last)), trainable(in, last) / one),
                 trainable(in, last) == 4 * one);
}

void rank_table(Ledger& ledger, const CourseInputs& in) {
  ledger.has_own_table("RT-");
  for (std::int64_t r : in.rank_rows) {
    for (const RankColumn& column : in.rank_columns) {
      const double cell = one_matrix_parameters(column.parameters, r);
      ledger.number(fmt::format("RT-{}-{}", r, column.name),
                    cell < kMega ? cell / 1e3 : cell / kMega);
    }
  }
  // Is there a model of that name which the cell of rank 1 could be a count of? Not even the
  // smallest set, one key projection in every layer, is as small.
  std::string smallest;
  bool all_larger = true;
  for (const RankColumn& column : in.rank_columns) {
    const std::int64_t count = real_count(column, {column.key_value_width}, 1);
    smallest += (smallest.empty() ? "" : " / ") + grouped(count);
    all_larger = all_larger && number(count) > one_matrix_parameters(column.parameters, 1);
  }
  ledger.checked(
      "RT-00",
      "cell = 2*r*sqrt(N), one square matrix; k_proj alone at r=1 in all layers: " + smallest,
      all_larger);
  const double once = one_matrix_parameters(in.rank_columns[0].parameters, 1);
  const std::int64_t r = in.rank_rows.back();
  const double many = one_matrix_parameters(in.rank_columns[0].parameters, r);
  ledger.checked(
      "RT-90",
      fmt::format("exactly linear in r: {} times {} is {}", r, readable(once), readable(many)),
      std::abs(many - number(r) * once) <= 1e-12 * many &&
          adapters(in, kMinimum, r) == r * adapters(in, kMinimum, 1));
}

}  // namespace

std::int64_t adapters(const CourseInputs& in, std::vector<std::string> names, std::int64_t R) {
  LoraConfig config;
  config.r = R;
  config.target_modules = std::move(names);
  return lora_parameters(adapter_shapes(config, stacked(in.layer, in.layers)));
}

std::int64_t all_linear(const CourseInputs& in, std::int64_t R) {
  LoraConfig config;
  config.r = R;
  config.target_modules = "all-linear";
  return lora_parameters(adapter_shapes(config, stacked(in.layer, in.layers)));
}

std::int64_t base_parameters(const CourseInputs& in) {
  return decoder_parameters(in.layer, in.layers, in.hidden, in.vocabulary, true);
}

// [methods]
std::int64_t trainable(const CourseInputs& in, const MethodRow& row) {
  switch (row.method) {
    case Method::fine_tune:
      return gpt_parameters(in.gpt3, in.gpt3_vocabulary, in.gpt3_positions);
    case Method::prefix_embed:
      return prefix_embed_parameters(in.gpt3, row.first, row.second);
    case Method::prefix_layer:
      return prefix_layer_parameters(in.gpt3, row.first, row.second);
    case Method::adapter_h:
      return adapter_h_parameters(in.gpt3, row.first, 0);  // LayerNorms stay frozen in the table
    case Method::lora:
      return square_lora_parameters(in.gpt3, row.first);
  }
  throw std::invalid_argument("a method that is not in the table");
}
// [/methods]

std::int64_t real_count(const RankColumn& column, const std::vector<std::int64_t>& out_features,
                        std::int64_t r) {
  std::int64_t sum = 0;
  for (std::int64_t N : out_features) {
    sum += column.layers * lora_parameters(LinearShape{"projection", column.d, N}, r);
  }
  return sum;
}

void fill_claims(Ledger& ledger, const CourseInputs& inputs) {
  lite(ledger, inputs);
  full(ledger, inputs);
  printed_line(ledger, inputs);
  gpt3_table(ledger, inputs);
  rank_table(ledger, inputs);
}

}  // namespace qlora::chapter06

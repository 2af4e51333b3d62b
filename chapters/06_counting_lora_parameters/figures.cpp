#include "figures.h"

#include "claims.h"
#include "course/svg.h"

namespace qlora::chapter06 {
namespace {

constexpr std::int64_t kRanks[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

template <typename F>
Series over_ranks(const char* name, F&& count) {
  Series series{name, {}, {}};
  for (std::int64_t r : kRanks) {
    series.x.push_back(static_cast<double>(r));
    series.y.push_back(static_cast<double>(count(r)));
  }
  return series;
}

LineChart chart_of(const char* title) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "rank r";
  chart.y_label = "parameters";
  chart.log_x = chart.log_y = true;
  return chart;
}

}  // namespace

void draw(const std::string& folder) {
  const CourseInputs in;
  LineChart counts = chart_of("LoRA on Llama 3.2 3B: parameters against rank");
  Series base = over_ranks("the base model", [&](std::int64_t) { return base_parameters(in); });
  base.dashed = true;
  counts.series = {
      over_ranks("q, v", [&](std::int64_t r) { return adapters(in, {"q_proj", "v_proj"}, r); }),
      over_ranks("q, k, v, o",
                 [&](std::int64_t r) {
                   return adapters(in, {"q_proj", "k_proj", "v_proj", "o_proj"}, r);
                 }),
      over_ranks("all seven", [&](std::int64_t r) { return all_linear(in, r); }), base};
  write_svg(folder + "/parameters_rank.svg", counts);

  LineChart table = chart_of("A \"7B\" model: the Rank table's rule and real counts");
  const RankColumn& column = in.rank_columns[0];
  table.series = {
      over_ranks("2 r √N",
                 [&](std::int64_t r) { return one_matrix_parameters(column.parameters, r); }),
      over_ranks("Llama 2 7B: k",
                 [&](std::int64_t r) { return real_count(column, {column.key_value_width}, r); }),
      over_ranks("Llama 2 7B: q, v", [&](std::int64_t r) {
        return real_count(column, {column.d, column.key_value_width}, r);
      })};
  write_svg(folder + "/rank_table.svg", table);
}

}  // namespace qlora::chapter06

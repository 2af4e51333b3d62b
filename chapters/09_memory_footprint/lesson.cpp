#include "lesson.h"

#include <fmt/format.h>

#include "cases.h"
#include "claims.h"
#include "course/table.h"

namespace qlora::chapter09 {
namespace {

std::string gigabytes(std::int64_t bytes) {
  return fmt::format("{:.3f}", static_cast<double>(bytes) / 1e9);
}

double gibibytes(std::int64_t bytes) {
  return static_cast<double>(bytes) / 0x1p30;
}

Json tell_footprints() {
  const DecoderSizes& sizes = kLlama32_3b;
  const std::int64_t adapters = 4 * attention_adapters(sizes, 32);
  Table table({"Llama 3.2 3B", "counted, bytes", "GB", "course", "scales, not counted", "resident"},
              "lrrrrr");
  Json rows = Json::array();
  const auto add = [&](const char* name, const Footprint& f, const char* course) {
    table.add({name, grouped(f.reported), gigabytes(f.reported), course,
               f.scales > 0 ? grouped(f.scales) : "", gigabytes(f.reported + f.scales)});
    Json j = Json::object();
    j["name"] = name;
    j["reported"] = f.reported;
    j["resident"] = f.reported + f.scales;
    rows.push_back(std::move(j));
  };
  add("float32", dense_footprint(sizes, 4), "12.9");
  add("bfloat16", dense_footprint(sizes, 2), "");
  add("int8", int8_footprint(sizes, 2), "3.6");
  add("NF4", nf4_footprint(sizes, {64, false, 256}, 2), "2.2");
  add("NF4, double quantization", nf4_footprint(sizes, {64, true, 256}, 2), "2.2");
  Footprint with = nf4_footprint(sizes, {64, true, 256}, 2);
  with.reported += adapters;
  add("the same and lite adapters", with, "2.27");
  fmt::print("get_memory_footprint(), and what is really there:\n{}\n", table.text());
  return rows;
}

// Bytes of a plan's parts whose names begin so.
std::int64_t part(const MemoryPlan& plan, std::string_view name) {
  std::int64_t sum = 0;
  for (const MemoryPart& p : plan.parts) sum += p.name.starts_with(name) ? p.bytes : 0;
  return sum;
}

Json tell_training() {
  Table table({"3B in NF4, GB", "adapters", "gradients", "moments", "moments, 8 bits"}, "lrrrr");
  Json rows = Json::array();
  using Names = std::vector<std::string>;
  const Names attention{"q_proj", "k_proj", "v_proj", "o_proj"};
  struct Case {
    const char* name;
    std::int64_t R;
    Names modules;  // none: all linears
  };
  for (const auto& [name, R, modules] :
       {Case{"r = 16 on q, v", 16, {"q_proj", "v_proj"}},
        Case{"r = 32 on q, k, v, o (lite)", 32, attention}, Case{"r = 16 on all seven", 16, {}},
        Case{"r = 256 on all seven (full)", 256, {}}}) {
    TrainingShape shape = run_of("llama-3.2-3b", R, 1, 512, ActivationPolicy::checkpoint);
    if (!modules.empty()) shape.lora.target_modules = modules;
    const MemoryPlan plan = training_memory(shape);
    shape.moments_in_8bit = true;
    const std::int64_t in_8bit = part(training_memory(shape), "the optimizer's moments");
    table.add({name, gigabytes(part(plan, "adapters")), gigabytes(part(plan, "their gradients")),
               gigabytes(part(plan, "the optimizer's moments")), gigabytes(in_8bit)});
    rows.push_back(part(plan, "adapters"));
  }
  fmt::print("What is trained, in float32:\n{}", table.text());
  const std::int64_t all = dense_footprint(kLlama32_3b, 16).reported;
  fmt::print("Full fine-tuning, 16 bytes each of all weights: {} GB.\n\n", gigabytes(all));
  return rows;
}

Json tell_cards() {
  const std::vector<Card> all = cards();
  std::vector<std::string> headings{"rows of 512 tokens that fit"};
  for (const Card& card : all) headings.push_back(card.name);
  Table table(headings, "lrrr");
  Json rows = Json::array();
  for (const char* model : {"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b"}) {
    const TrainingShape shape = run_of(model, 16, 1, 512, ActivationPolicy::keep);
    std::vector<std::vector<FittingBatch>> fits;
    fits.reserve(all.size());
    for (const Card& card : all) fits.push_back(what_fits(shape, card.bytes));
    for (std::size_t p = 0; p < fits[0].size(); ++p) {
      std::vector<std::string> row{fmt::format("{}, {}", model, to_string(fits[0][p].policy))};
      Json j = Json::object();
      j["name"] = row[0];
      for (std::size_t c = 0; c < all.size(); ++c) {
        row.push_back(fits[c][p].B > 0 ? grouped(fits[c][p].B) : "none");
        j["batches"].push_back(fits[c][p].B);
      }
      table.add(row);
      rows.push_back(std::move(j));
    }
  }
  fmt::print(
      "NF4 with double quantization, r = 16 on all linears, every position supervised:\n{}\n",
      table.text());
  return rows;
}

Json tell_measured() {
  Table table({"on an H100", "planned, GiB", "measured", "plan off by"}, "lrrr");
  Json rows = Json::array();
  for (const MeasuredRun& run : measured_runs()) {
    const double planned = gibibytes(training_memory(run.shape).total());
    table.add({run.name, fmt::format("{:.2f}", planned), fmt::format("{:.1f}", run.measured),
               fmt::format("{:+.1f} %", 100 * (planned / run.measured - 1))});
    Json j = Json::object();
    j["name"] = run.name;
    j["planned"] = planned;
    j["measured"] = run.measured;
    rows.push_back(std::move(j));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_arenas() {
  Table table({"here: activations, 8 x 128 tokens", "planned, bytes", "measured, bytes"}, "lrr");
  Json rows = Json::array();
  for (const ArenaRow& row : measured_arenas()) {
    table.add({std::string(to_string(row.policy)), grouped(row.planned), grouped(row.measured)});
    Json j = Json::object();
    j["policy"] = std::string(to_string(row.policy));
    j["planned"] = row.planned;
    j["measured"] = row.measured;
    rows.push_back(std::move(j));
  }
  fmt::print("{}", table.text());
  return rows;
}

}  // namespace

Json tell() {
  Json j = Json::object();
  j["footprints"] = tell_footprints();
  j["training"] = tell_training();
  j["cards"] = tell_cards();
  j["measured"] = tell_measured();
  j["arenas"] = tell_arenas();
  return j;
}

}  // namespace qlora::chapter09

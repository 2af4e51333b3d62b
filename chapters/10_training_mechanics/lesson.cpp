#include "lesson.h"

#include <fmt/format.h>

#include <cmath>

#include "course/table.h"
#include "experiments.h"
#include "ops/adamw.h"
#include "ops/cross_entropy.h"
#include "training/loss_scale.h"
#include "training/schedule.h"

namespace qlora::chapter10 {
namespace {

double loss_of(const std::vector<double>& logits, std::int32_t target) {
  std::vector<double> row = logits;
  double loss = 0;
  cpu::cross_entropy<double>(1, static_cast<std::int64_t>(row.size()), row.data(), &target, 0.0,
                             &loss);
  return loss;
}

Json tell_loss() {
  const std::vector<double> logits{2.0, 0.5, 0.0, -1.0};
  const std::int32_t target = 1;
  std::vector<double> gradient = logits;
  double loss = 0;
  cpu::cross_entropy<double>(1, 4, gradient.data(), &target, 1.0, &loss);
  Table table({"token", "logit", "softmax", "gradient", "finite difference"}, "lrrrr");
  Json j = Json::array();
  for (std::size_t v = 0; v < logits.size(); ++v) {
    constexpr double h = 1e-6;
    std::vector<double> up = logits, down = logits;
    up[v] += h;
    down[v] -= h;
    const double measured = (loss_of(up, target) - loss_of(down, target)) / (2 * h);
    const bool wanted = v == static_cast<std::size_t>(target);
    table.add({fmt::format("{}{}", v, wanted ? ", the target" : ""),
               fmt::format("{:.1f}", logits[v]),
               fmt::format("{:.4f}", gradient[v] + (wanted ? 1 : 0)),
               fmt::format("{:.4f}", gradient[v]), fmt::format("{:.4f}", measured)});
    j.push_back(gradient[v]);
  }
  fmt::print("One position, four tokens, loss {:.4f} = -log {:.4f}:\n{}\n", loss, std::exp(-loss),
             table.text());
  return j;
}

Json tell_rates() {
  Table table({"lr on x²/2, from x = 1", "after 1", "after 5", "after 50"}, "lrrr");
  Json j = Json::array();
  for (const double rate : {0.01, 0.5, 1.5, 1.9, 2.1}) {
    const auto x = [&](int steps) { return std::pow(1 - rate, steps); };
    table.add({fmt::format("{}", rate), fmt::format("{:.3f}", x(1)), fmt::format("{:.3f}", x(5)),
               fmt::format("{:.2g}", x(50))});
    j.push_back(x(50));
  }
  fmt::print("{}\n", table.text());
  return j;
}

// What one AdamW step does to a parameter of 1, lr 0.1: its first, and its second after a gradient
// of 1.
Json tell_adamw() {
  Table table({"gradient", "1000", "1", "0.001", "1e-8", "0"}, "lrrrrr");
  Json j = Json::object();
  for (const double decay : {0.0, 0.1}) {
    std::vector<std::string> row{fmt::format("first step, weight decay {}", decay)};
    for (const double gradient : {1000.0, 1.0, 1e-3, 1e-8, 0.0}) {
      double p = 1, m = 0, v = 0;
      AdamWStep step;
      step.lr = 0.1;
      step.weight_decay = decay;
      cpu::adamw<double>(step, 1, &gradient, &p, &m, &v);
      row.push_back(fmt::format("{:.4f}", p));
      j[row[0]].push_back(p);
    }
    table.add(row);
  }
  fmt::print("A parameter of 1 after AdamW's first step, lr 0.1:\n{}\n", table.text());
  return j;
}

Json tell_schedules() {
  constexpr std::int64_t T = 170;
  const std::int64_t W = warmup_steps(0.1, T);
  Table table(
      {fmt::format("{} steps, warm-up {}", T, W), "0", "1", "16", "17", "55", "94", "132", "169"},
      "lrrrrrrrr");
  Json j = Json::object();
  const auto add = [&](const char* name, LrScheduler kind) {
    std::vector<std::string> row{name};
    for (const std::int64_t s : {0, 1, 16, 17, 55, 94, 132, 169}) {
      row.push_back(fmt::format("{:.3f}", lr_factor(kind, s, W, T)));
      j[name].push_back(lr_factor(kind, s, W, T));
    }
    table.add(row);
  };
  add("linear", LrScheduler::linear);
  add("cosine", LrScheduler::cosine);
  add("constant_with_warmup", LrScheduler::constant_with_warmup);
  add("constant, which ignores it", LrScheduler::constant);
  fmt::print("Learning rate over its peak, by the steps that are done:\n{}", table.text());
  fmt::print("A share is rounded up: 0.07 of 100 steps, which is {:.16g}, are {}.\n\n", 0.07 * 100,
             warmup_steps(0.07, 100));
  return j;
}

Json tell_clipping() {
  Table table({"gradient", "max_grad_norm", "norm", "factor"}, "lrrr");
  const std::vector<float> g{3.0f, -4.0f};
  const double norm = std::sqrt(cpu::squared_norm<float>(2, g.data()));
  Json j = Json::array();
  for (const double most : {1.0, 0.3, 6.0}) {
    table.add({"3, -4", fmt::format("{}", most), fmt::format("{}", norm),
               fmt::format("{:.8f}", clip_factor(norm, most))});
    j.push_back(clip_factor(norm, most));
  }
  fmt::print("{}\n", table.text());
  return j;
}

Json tell_accumulation() {
  Table table({"four rows of unlike length", "loss", "gradient off by"}, "lrr");
  Json rows = Json::array();
  for (const AccumulationRow& row : accumulation()) {
    table.add({row.name, fmt::format("{:.4f}", row.loss),
               row.difference == 0 ? "" : fmt::format("{:.0e}", row.difference)});
    Json j = Json::object();
    j["name"] = row.name;
    j["loss"] = row.loss;
    j["difference"] = row.difference;
    rows.push_back(std::move(j));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_policies() {
  const std::vector<PolicyRow> all = policies();
  Table table({"activations, 16 rows of 64", "MiB", "time", "gradients"}, "lrrl");
  Json rows = Json::array();
  for (const PolicyRow& row : all) {
    table.add({std::string(to_string(row.policy)),
               fmt::format("{:.1f}", static_cast<double>(row.peak) / (1 << 20)),
               fmt::format("{:.2f} s", row.seconds),
               row.same_bits ? "the same bits" : "other bits"});
    Json j = Json::object();
    j["policy"] = std::string(to_string(row.policy));
    j["bytes"] = static_cast<std::int64_t>(row.peak);
    j["same_bits"] = row.same_bits;
    rows.push_back(std::move(j));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_dropout() {
  Json j = Json::array();
  for (const double p : {0.05, 0.5}) {
    const DropoutRow row = dropout(p);
    fmt::print(
        "Dropout {}: {:.2f} % of 100,000 ones dropped, the others {:.4f}, the mean {:.3f}.\n", p,
        100 * row.dropped, row.factor, row.mean);
    j.push_back(row.factor);
  }
  fmt::print("\n");
  return j;
}

Json tell_formats() {
  Table table({"gradient", "in float16", "times 65536 in float16, then back", "in bfloat16"},
              "rrrr");
  const double scale = LossScale::of(DType::f16).value;
  Json rows = Json::array();
  for (const float g : {1e-3f, 1e-6f, 1e-8f, 2.0f}) {
    const auto half = [](float x) { return to_float(to_half(x)); };
    const double back = double{half(g * static_cast<float>(scale))} / scale;
    table.add({fmt::format("{:g}", g), fmt::format("{:.4g}", half(g)), fmt::format("{:.4g}", back),
               fmt::format("{:.4g}", to_float(to_bfloat16(g)))});
    rows.push_back(back);
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_optimizers() {
  const std::vector<OptimizerRun> runs = optimizers();
  Table table({"optim", "bytes of moments", "loss at step 1", "5", "10", "20"}, "lrrrrr");
  Json rows = Json::array();
  for (const OptimizerRun& run : runs) {
    std::vector<std::string> row{run.name, grouped(run.bytes)};
    for (const std::size_t step : {1, 5, 10, 20}) {
      row.push_back(fmt::format("{:.4f}", run.losses.at(step - 1)));
    }
    table.add(row);
    Json j = Json::object();
    j["name"] = run.name;
    j["bytes"] = run.bytes;
    for (const double loss : run.losses) j["losses"].push_back(loss);
    rows.push_back(std::move(j));
  }
  fmt::print("Twenty steps on the price data, r = 32 on all linears:\n{}", table.text());
  return rows;
}

}  // namespace

Json tell() {
  Json j = Json::object();
  j["loss_gradient"] = tell_loss();
  j["descent"] = tell_rates();
  j["adamw"] = tell_adamw();
  j["schedules"] = tell_schedules();
  j["clipping"] = tell_clipping();
  j["accumulation"] = tell_accumulation();
  j["policies"] = tell_policies();
  j["dropout"] = tell_dropout();
  j["formats"] = tell_formats();
  j["optimizers"] = tell_optimizers();
  return j;
}

}  // namespace qlora::chapter10

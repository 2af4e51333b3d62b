#include "claims.h"

#include <fmt/format.h>

#include <cmath>
#include <initializer_list>

#include "core/matmul.h"
#include "core/random.h"
#include "course/text.h"
#include "lora/lora.h"
#include "lora/svd.h"

namespace qlora::chapter05 {
namespace {

constexpr auto kNo = Transpose::no;

std::vector<double> normal(std::int64_t n, std::uint64_t stream) {
  std::vector<double> x(n);
  for (std::int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<double>(Random{5, stream}.normal(static_cast<std::uint64_t>(i)));
  }
  return x;
}

bool is_near(double a, double b) {
  return std::abs(a - b) <= 1e-12 * std::abs(b);
}

// By what the forward pass multiplies B·A·x: measured, on random numbers.
double measured_factor(double alpha, std::int64_t R) {
  const std::int64_t K = 5, N = 4;
  const std::vector<double> A = normal(R * K, 1), B = normal(N * R, 2), x = normal(K, 3);
  std::vector<double> u(R), y(N), once(N);
  lora_forward<double>({K, N, R, A.data(), B.data(), lora_scaling(alpha, R, false)}, 1, x.data(),
                       {}, nullptr, u.data(), y.data(), N);
  matmul<double>(kNo, kNo, N, 1, R, 1.0, B.data(), R, u.data(), 1, 0.0, once.data(), 1);
  return y[0] / once[0];
}

// The singular values of B (N,R) · A (R,N).
std::vector<double> singular_values_of_product(std::int64_t N, std::int64_t R) {
  const std::vector<double> B = normal(N * R, 4), A = normal(R * N, 5);
  std::vector<double> W(N * N);
  matmul<double>(kNo, kNo, N, N, R, 1.0, B.data(), R, A.data(), N, 0.0, W.data(), N);
  return svd(N, N, W).s;
}

LinearShape example(const CourseInputs& in) {
  return {"example", in.example_in, in.example_out};
}

const LinearShape& module(const CourseInputs& in, std::string_view ending) {
  for (const LinearShape& linear : in.layer) {
    if (linear.name.ends_with(ending)) return linear;
  }
  throw std::invalid_argument("the layer has no " + std::string(ending));
}

// Parameters of an adapter of rank R on the layers' modules of these names.
std::int64_t adapters(const CourseInputs& in, std::vector<std::string> names, std::int64_t R) {
  LoraConfig config;
  config.r = R;
  config.target_modules = std::move(names);
  return lora_parameters(adapter_shapes(config, stacked(in.layer, in.layers)));
}

std::int64_t attention(const CourseInputs& in, std::int64_t R) {
  return adapters(in, {"q_proj", "k_proj", "v_proj", "o_proj"}, R);
}

std::int64_t base(const CourseInputs& in) {
  return decoder_parameters(in.layer, in.layers, in.hidden, in.vocabulary, true);
}

void decomposition(Ledger& ledger, const CourseInputs& in) {
  const std::int64_t n = in.change_side, r = in.change_rank;
  const LinearShape change{"change", n, n};
  ledger.number("LD-03", static_cast<double>(lora_parameters(change, r)));
  ledger.text("LD-04", fmt::format("({0}x{1})({1}x{0}) = {0}x{0}", n, r));
  ledger.test("LD-01", "LoraRegression.TheBaseIsOnlyRead");
  ledger.test("LD-02", "Lora.MergedWeightGivesTheSameOutput");
  const LinearShape &q = module(in, "q_proj"), &k = module(in, "k_proj");
  ledger.checked(
      "LD-05",
      fmt::format("only while r < {:.1f} for {}x{} (r = 2 needs {} > {}), {:.0f} for "
                  "{}x{}, {:.0f} for q_proj, {:.0f} for k_proj",
                  break_even_rank(change), n, n, lora_parameters(change, 2),
                  dense_parameters(change), break_even_rank(example(in)), in.example_out,
                  in.example_in, break_even_rank(q), break_even_rank(k)),
      lora_parameters(change, 2) > dense_parameters(change) &&
          lora_parameters(k, static_cast<std::int64_t>(break_even_rank(k))) == dense_parameters(k));
  const std::vector<double> s = singular_values_of_product(in.product_side, in.product_rank);
  ledger.checked("LD-06",
                 fmt::format("the {0}x{0} product of {0}x{1} and {1}x{0} has rank {2}, not {0}",
                             in.product_side, in.product_rank, numerical_rank(s)),
                 numerical_rank(s) == in.product_rank && in.product_rank < in.product_side);
  const std::int64_t K = in.example_in, N = in.example_out;
  const std::int64_t R = in.example_rank;
  ledger.checked("LD-07",
                 fmt::format("A {}x{}, B {}x{}: one side is r, the other stays", R, K, N, R),
                 R < K && R < N);
  ledger.checked("LD-08",
                 fmt::format("the course's ({0},{1})({1},{2}) is B·A: lora_B.weight ({0}, {1}), "
                             "lora_A.weight ({1}, {2})",
                             N, R, K),
                 lora_parameters(example(in), R) == N * R + R * K);
  ledger.text("LD-09", fmt::format("{}x{}", N, K));
  ledger.number("LD-10", static_cast<double>(dense_parameters(example(in))));
  ledger.number("LD-11", static_cast<double>(lora_parameters(example(in), R)));
  ledger.number("LD-12", 100.0 * (1.0 - static_cast<double>(lora_parameters(example(in), R)) /
                                            static_cast<double>(dense_parameters(example(in)))));
  const double whole = truncation_error(s, 0);
  ledger.checked(
      "LD-49",
      fmt::format("at its own rank {} {:.0e} of it is lost, at rank {} {:.0f} %", in.product_rank,
                  truncation_error(s, in.product_rank) / whole, in.product_rank - 1,
                  100 * truncation_error(s, in.product_rank - 1) / whole),
      truncation_error(s, in.product_rank) < 1e-10 * whole &&
          truncation_error(s, in.product_rank - 1) > 0.1 * whole);
}

void formula(Ledger& ledger, const CourseInputs& in) {
  const double alpha = in.alpha_factor * static_cast<double>(in.alpha_rank);
  const double here = measured_factor(alpha, in.alpha_rank);
  const double there = measured_factor(in.llama2_alpha, in.llama2_rank);
  ledger.checked("LD-13",
                 fmt::format("factor alpha/r: {} for alpha {}, r {} (the course's: {}); {} for {}, "
                             "{} (the course's: {})",
                             readable(here), alpha, in.alpha_rank, alpha, readable(there),
                             in.llama2_alpha, in.llama2_rank, in.llama2_alpha),
                 is_near(here, alpha / static_cast<double>(in.alpha_rank)) &&
                     is_near(there, in.llama2_alpha / static_cast<double>(in.llama2_rank)) &&
                     !is_near(here, alpha) && !is_near(there, in.llama2_alpha));
  ledger.checked("LD-14", fmt::format("(alpha/r) B A: {} B A, not {} A B", readable(here), alpha),
                 is_near(here, in.alpha_factor) && !is_near(here, alpha));
  const LinearShape &q = module(in, "q_proj"), &k = module(in, "k_proj");
  ledger.checked("LD-15",
                 fmt::format("k_proj: A·B is {}x{}, Input {}x1: {} columns meet {} rows. "
                             "Bᵀ(Aᵀx) conforms: {} outputs",
                             k.K, k.N, k.K, k.N, k.K, k.N),
                 k.N != k.K && q.N == q.K);
  ledger.test("LD-16", "Lora.ForwardAddsTheDenseChange");
  ledger.test("LD-17", "Lora.ScalingIsAlphaOverRank");
  // The alpha whose scaling is the wanted factor.
  ledger.number("LD-18", in.alpha_factor / lora_scaling(1.0, in.alpha_rank, false));
  ledger.checked("LD-22",
                 fmt::format("({0},{1})({1},{2}): r = {1} is the side that they share",
                             in.example_out, in.example_rank, in.example_in),
                 in.example_rank != in.example_out && in.example_rank != in.example_in);
}

void steps(Ledger& ledger, const CourseInputs& in) {
  const LinearShape& q = module(in, "q_proj");
  ledger.test("LD-23", "LoraRegression.TheBaseIsOnlyRead");
  ledger.test("LD-24", "TargetModules.ListsMatchNamesAndEndings");
  ledger.number("LD-25", 100.0 * static_cast<double>(lora_parameters(q, in.module_rank)) /
                             static_cast<double>(dense_parameters(q)));
  ledger.test("LD-26", "Lora.FreshAdapterChangesNothing");
  ledger.test("LD-27", "LoraRegression.ReachesTheBestLossOfItsRank");
  ledger.checked("LD-28",
                 fmt::format("(out,r)(r,in) = (out,in): q_proj ({0},{1})({1},{2}) = ({0},{2})", q.N,
                             in.module_rank, q.K),
                 lora_parameters(q, in.module_rank) < dense_parameters(q));
  ledger.text("LD-29", fmt::format("{}x{}; {} parameters", q.N, q.K,
                                   grouped(lora_parameters(q, in.alpha_rank))));
  ledger.number("LD-30", static_cast<double>(attention(in, in.odd_rank)));
  ledger.number("LD-31", static_cast<double>(attention(in, in.module_rank)));
  std::string valid;
  for (std::int64_t R : in.typical_ranks) {
    LoraConfig config;
    config.r = R;
    validate(config);
    valid += fmt::format("{}{}", valid.empty() ? "r = " : ", ", R);
  }
  ledger.checked("LD-32", valid + ": valid", !in.typical_ranks.empty());
  ledger.test("LD-39", "LoraRegression.TheBaseIsOnlyRead");
  ledger.test("LD-41", "LoraRegression.ReachesTheBestLossOfItsRank");
  ledger.test("LD-42", "Lora.MergedWeightGivesTheSameOutput");
}

void modules(Ledger& ledger, const CourseInputs& in) {
  std::int64_t attention_weights = 0, all_weights = 0, of_attention = 0;
  for (const LinearShape& linear : in.layer) {
    const bool is_attention = linear.name.starts_with("self_attn.");
    all_weights += dense_parameters(linear);
    attention_weights += is_attention ? dense_parameters(linear) : 0;
    of_attention += is_attention ? 1 : 0;
  }
  const auto in_a_layer = static_cast<std::int64_t>(in.layer.size());
  ledger.checked("LD-37",
                 fmt::format("{} modules a layer: {} of attention, {} of the MLP (gate, up, down)",
                             in_a_layer, of_attention, in_a_layer - of_attention),
                 in_a_layer == 7 && of_attention == 4);
  const std::int64_t lite = attention(in, in.alpha_rank);
  ledger.checked(
      "LD-38",
      fmt::format("{} new parameters beside {} that stay", grouped(lite), grouped(base(in))),
      lite > 0);
  ledger.number("LD-40", static_cast<double>(in.bytes_of_training * base(in)) /
                             static_cast<double>(in.bytes_of_training * lite));
  LoraConfig two, all;
  all.target_modules = "all-linear";
  const std::size_t minimum = adapter_shapes(two, in.layer).size();
  const std::size_t maximum = adapter_shapes(all, in.layer).size();
  ledger.checked("LD-43", fmt::format("{} and {} modules a layer", minimum, maximum),
                 minimum == 2 && maximum == 7);
  ledger.number("LD-44", static_cast<double>(in.layers * in_a_layer));
  const LinearShape& q = module(in, "q_proj");
  ledger.checked("LD-45",
                 fmt::format("one A ({},{}) and one B ({},{}) for all {} heads of q_proj",
                             in.module_rank, q.K, q.N, in.module_rank, in.heads),
                 in.heads > 1 && q.N % in.heads == 0);
  ledger.number("LD-46", 100.0 * static_cast<double>(lite) / static_cast<double>(base(in)));
  ledger.number("LD-48",
                100.0 * static_cast<double>(attention_weights) / static_cast<double>(all_weights));
}

// Rules of thumb about what trains well: small regressions stand in for models.
void rules_of_thumb(Ledger& ledger) {
  const auto stands_in = [&](const char* experiment, std::initializer_list<const char*> claims,
                             const std::string& reason, const std::string& check_with) {
    for (const char* id : claims) {
      ledger.experiment(id, experiment);
      ledger.not_checkable(id, reason + "; a small regression stands in.", check_with);
    }
  };
  const std::string embedded = " (without --model the embedded model answers)";
  stands_in(
      "alpha_sweep", {"LD-19", "LD-20", "LD-21"},
      "Which alpha is best depends on model, data and learning rate, and what is common is a "
      "convention",
      "./course run 12 experiment alpha --model DIR and ./course run 12 experiment alpha-rule "
      "--model DIR" +
          embedded);
  stands_in("rank_sweep", {"LD-33", "LD-34", "LD-35"},
            "Where to begin with the rank is a heuristic: what suffices depends on model and task",
            "./course run 12 experiment rank --model DIR" + embedded);
  stands_in(
      "rank_sweep", {"LD-36"},
      "Whether a rank overfits depends on model and data: it shows as a gap between training and "
      "held-out loss",
      "./course run 12 train --model DIR --data FILE --eval-data HELD_OUT --eval-steps 50 --r R "
      "--lora-alpha 2R with R of 8, 16, 32 and 64; compare loss and eval_loss in "
      "trainer_state.json");
  ledger.not_checkable(
      "LD-47",
      "How much time is saved depends on device, model and batch: forward pass and activation "
      "gradients go through the whole base in both, and only the base's weight gradients and its "
      "optimizer work disappear.",
      "./course run 12 train --model DIR --data FILE --quantize none --max-steps 20, which prints "
      "the median step, against 20 steps of full fine-tuning by transformers' Trainer on the same "
      "model, batch and device");
}

}  // namespace

void fill_claims(Ledger& ledger, const CourseInputs& inputs) {
  decomposition(ledger, inputs);
  formula(ledger, inputs);
  steps(ledger, inputs);
  modules(ledger, inputs);
  rules_of_thumb(ledger);
}

}  // namespace qlora::chapter05

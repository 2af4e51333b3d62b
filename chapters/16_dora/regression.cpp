#include "regression.h"

#include <cmath>

#include "core/matmul.h"
#include "core/random.h"
#include "lora/dora.h"

namespace qlora::chapter16 {
namespace {

constexpr std::int64_t kTokens = 128, kSide = 48, kSteps = 300, kPlantedRank = 4;
constexpr double kRate = 5e-3;
constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

using Numbers = std::vector<double>;

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

Numbers normal(std::int64_t n, std::uint64_t stream, double scale = 1.0) {
  Numbers x(at(n));
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = scale * static_cast<double>(Random{16, stream}.normal(i));
  }
  return x;
}

// y (T,N) = x (T,K) · Wᵀ
Numbers linear(const Numbers& x, const Numbers& W) {
  Numbers y(at(kTokens * kSide));
  matmul<double>(kNo, kYes, kTokens, kSide, kSide, 1.0, x.data(), kSide, W.data(), kSide, 0.0,
                 y.data(), kSide);
  return y;
}

double length(const Numbers& W, std::int64_t row) {
  double squares = 0;
  for (std::int64_t k = 0; k < kSide; ++k) squares += std::pow(W[at(row * kSide + k)], 2);
  return std::sqrt(squares);
}

// The weight whose work is to be learned.
Numbers changed(Numbers W, Change change) {
  if (change != Change::magnitude) {
    const Numbers B = normal(kSide * kPlantedRank, 2), A = normal(kPlantedRank * kSide, 3);
    matmul<double>(kNo, kNo, kSide, kSide, kPlantedRank, 0.03, B.data(), kPlantedRank, A.data(),
                   kSide, 1.0, W.data(), kSide);
  }
  if (change != Change::direction) {
    const Numbers factor = normal(kSide, 4, 0.3);
    for (std::int64_t i = 0; i < kSide * kSide; ++i) W[at(i)] *= 1.0 + factor[at(i / kSide)];
  }
  return W;
}

// Adam without weight decay (Kingma and Ba 2015), β 0.9 and 0.999.
struct Adam {
  Numbers first, second;
  int step = 0;
  void update(Numbers& x, const Numbers& gradient) {
    first.resize(x.size());
    second.resize(x.size());
    ++step;
    for (std::size_t i = 0; i < x.size(); ++i) {
      first[i] += 0.1 * (gradient[i] - first[i]);
      second[i] += 0.001 * (gradient[i] * gradient[i] - second[i]);
      x[i] -= kRate * first[i] / (1 - std::pow(0.9, step)) /
              (std::sqrt(second[i] / (1 - std::pow(0.999, step))) + 1e-8);
    }
  }
};

double square_sum(const Numbers& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return sum;
}

}  // namespace

Run train(Change change, bool dora, std::int64_t R) {
  const Numbers x = normal(kTokens * kSide, 1), W = normal(kSide * kSide, 5, 0.2);
  const Numbers target = linear(x, changed(W, change)), base = linear(x, W);
  Numbers A = normal(R * kSide, 6, 1 / std::sqrt(double{kSide})), B(at(kSide * R)), m(at(kSide));
  const auto weights = [&] {
    return LoraWeights<double>{kSide, kSide, R, A.data(), B.data(), 2.0};
  };
  dora_norm(weights(), W.data(), m.data());
  Numbers e = base;
  for (std::size_t i = 0; i < e.size(); ++i) e[i] -= target[i];
  const double scale = square_sum(e);
  Run run{dora, R, 2 * R * kSide + (dora ? kSide : 0), {}, 0, 0};
  Adam adam_A, adam_B, adam_m;
  Numbers norm(at(kSide)), u(at(kTokens * R)), du(u.size()), g(e.size());
  for (std::int64_t step = 0; step <= kSteps; ++step) {
    Numbers y = base, dA(A.size()), dB(B.size()), dm(m.size());
    dora_norm(weights(), W.data(), norm.data());
    if (dora) {
      dora_forward<double>(weights(), m.data(), norm.data(), kTokens, x.data(), nullptr, u.data(),
                           y.data(), kSide);
    } else {
      lora_forward<double>(weights(), kTokens, x.data(), {}, nullptr, u.data(), y.data(), kSide);
    }
    for (std::size_t i = 0; i < y.size(); ++i) y[i] -= target[i];
    run.loss.push_back(square_sum(y) / scale);
    for (double& v : y) v *= 2 / scale;  // the gradient of the loss
    if (dora) {
      Numbers again = base;
      dora_backward<double>(weights(), m.data(), norm.data(), kTokens, u.data(), again.data(),
                            y.data(), kSide, dm.data(), g.data());
    } else {
      g = y;
    }
    lora_backward<double>(weights(), kTokens, x.data(), u.data(), {}, g.data(), kSide, nullptr,
                          du.data(), dA.data(), dB.data(), nullptr);
    if (step == kSteps) break;
    adam_A.update(A, dA);
    adam_B.update(B, dB);
    if (dora) adam_m.update(m, dm);
  }
  Numbers merged = W;
  if (dora) {
    dora_merge(weights(), m.data(), norm.data(), merged.data());
  } else {
    lora_merge(weights(), 1.0, merged.data());
  }
  for (std::int64_t n = 0; n < kSide; ++n) {
    const double before = length(W, n), after = length(merged, n);
    double dot = 0;
    for (std::int64_t k = 0; k < kSide; ++k)
      dot += W[at(n * kSide + k)] * merged[at(n * kSide + k)];
    run.magnitude_change += std::abs(after - before) / before / double{kSide};
    run.direction_change += (1 - dot / before / after) / double{kSide};
  }
  return run;
}

std::vector<Stability> stability() {
  const Numbers x = normal(kTokens * kSide, 1);
  std::vector<Stability> rows;
  for (const std::int64_t R : {1, 4, 16, 64, 256}) {
    const Numbers A = normal(R * kSide, 7), B = normal(kSide * R, 8);
    const auto size = [&](bool use_rslora) {
      Numbers u(at(kTokens * R)), y(at(kTokens * kSide));
      const LoraWeights<double> lora{kSide,    kSide,    R,
                                     A.data(), B.data(), lora_scaling(16, R, use_rslora)};
      lora_forward<double>(lora, kTokens, x.data(), {}, nullptr, u.data(), y.data(), kSide);
      return std::sqrt(square_sum(y));
    };
    rows.push_back({R, size(false), size(true)});
  }
  const Stability first = rows.front();
  for (Stability& row : rows) {
    row.lora /= first.lora;
    row.rslora /= first.rslora;
  }
  return rows;
}

}  // namespace qlora::chapter16

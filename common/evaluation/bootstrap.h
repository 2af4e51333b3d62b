// How certain a figure is: confidence intervals by drawing the items anew.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace qlora {

/// A 95 % confidence interval.
struct Interval {
  double low = 0.0;   ///< the 2.5th percentile
  double high = 0.0;  ///< the 97.5th
};

/// Times that the items are drawn anew.
inline constexpr std::uint64_t kResamples = 1000;

/// The stream of the numbers that decide which items are drawn.
inline constexpr std::uint64_t kBootstrapStream = 0x626f6f74;  // "boot"

/// A figure of some of the items, given by their numbers; an item may come several times.
using Statistic = std::function<double(std::span<const std::size_t> items)>;

/// n draws from the items 0 … n-1, with replacement: draw i is element i of
/// Random{seed, stream_of(kBootstrapStream, resample)}.below(i, n). Figures of equally many items
/// under one seed are so measured on the same draws.
std::vector<std::size_t> drawn_anew(std::size_t n, std::uint64_t seed, std::uint64_t resample);

/// The ends of the middle 95 % of m figures, in whatever order they come: of the sorted ones the
/// one behind the first ⌊m/40⌋, and the one before the last ⌊m/40⌋. A NaN among them makes both
/// NaN.
/// @throws std::invalid_argument if there is none
Interval middle_95(std::vector<double> figures);

/// The percentile bootstrap interval (Efron and Tibshirani, "An Introduction to the Bootstrap",
/// 1993, chapter 13): middle_95() of the statistic of kResamples resamples, 0 and on.
/// @throws std::invalid_argument if n is 0, or 2^32 or more
Interval bootstrap(std::size_t n, std::uint64_t seed, const Statistic& statistic);

/// The interval of the mean of some values. @throws std::invalid_argument as bootstrap() does
Interval bootstrap_mean(std::span<const double> values, std::uint64_t seed);

/// The interval of Σ sums / Σ weights, whose weights are drawn with their sums: of a loss over
/// tokens, where a row is drawn as a whole.
/// @throws std::invalid_argument as bootstrap() does, if sizes differ, or a weight is not above 0
Interval bootstrap_ratio(std::span<const double> sums, std::span<const double> weights,
                         std::uint64_t seed);

}  // namespace qlora

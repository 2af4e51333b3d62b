// Counter-based random numbers: a number is a function of (seed, stream, index), not of what was
// drawn before, so that CPU and GPU, a recomputed layer and a resumed run see the same ones.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#ifdef __CUDACC__
#define QLORA_HOST_DEVICE __host__ __device__
#else
#define QLORA_HOST_DEVICE
#endif

namespace qlora {

/// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): ten rounds
/// that turn a 128-bit counter under a 64-bit key into four 32-bit words.
struct Philox {
  std::uint32_t word[4];  ///< uniform, independent
};

/// The block of a counter.
QLORA_HOST_DEVICE inline Philox philox(std::uint64_t key, std::uint64_t counter_high,
                                       std::uint64_t counter_low) {
  auto c0 = static_cast<std::uint32_t>(counter_low);
  auto c1 = static_cast<std::uint32_t>(counter_low >> 32);
  auto c2 = static_cast<std::uint32_t>(counter_high);
  auto c3 = static_cast<std::uint32_t>(counter_high >> 32);
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// Random numbers of one stream: element `index` of each kind is the same wherever it is asked for.
struct Random {
  std::uint64_t seed = 0;    ///< Philox's key
  std::uint64_t stream = 0;  ///< the counter's upper half, e.g. of stream_of()

  /// 32 random bits. Four consecutive indices share one Philox block.
  QLORA_HOST_DEVICE std::uint32_t bits(std::uint64_t index) const {
    return philox(seed, stream, index / 4).word[index % 4];
  }
  /// Uniform in [0, 1): 24 bits, exact in float32.
  QLORA_HOST_DEVICE float uniform(std::uint64_t index) const {
    return static_cast<float>(bits(index) >> 8) * 0x1p-24f;
  }
  /// Standard normal by Box and Muller, one number of each pair of uniforms.
  QLORA_HOST_DEVICE float normal(std::uint64_t index) const {
    const Philox p = philox(seed, stream, index);
    // (0, 1]: the logarithm of zero must not happen
    const float u = static_cast<float>((p.word[0] >> 8) + 1u) * 0x1p-24f;
    const float v = static_cast<float>(p.word[1] >> 8) * 0x1p-24f;
    return std::sqrt(-2.0f * std::log(u)) * std::cos(6.28318530717958647692f * v);
  }
  /// Uniform in 0 … bound-1 (bound of at least 1), by the high word of a product: the bias is below
  /// bound / 2^32.
  QLORA_HOST_DEVICE std::uint32_t below(std::uint64_t index, std::uint32_t bound) const {
    return static_cast<std::uint32_t>((std::uint64_t{bits(index)} * bound) >> 32);
  }
  /// Whether dropout with probability p keeps element `index`. p = 0 keeps everything.
  QLORA_HOST_DEVICE bool keeps(std::uint64_t index, float p) const { return uniform(index) >= p; }
};

/// A stream number out of up to four small numbers (step, layer, module, …), well mixed.
std::uint64_t stream_of(std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0,
                        std::uint64_t d = 0);

/// 0 … n-1 in random order (Fisher and Yates). @throws std::invalid_argument if n >= 2^32
std::vector<std::int64_t> permutation(const Random& random, std::int64_t n);

}  // namespace qlora

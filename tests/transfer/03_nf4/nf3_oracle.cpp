// NF3 by way of text: a long string of binary digits, cut into codes and bytes.
#include "nf3.h"
#include "slow_nf3.h"

namespace qlora {
namespace {

std::vector<double> wide(std::span<const float, 8> map) {
  return {map.begin(), map.end()};
}

std::size_t block_of(std::size_t i, std::int64_t blocksize) {
  return i / static_cast<std::size_t>(blocksize);
}

}  // namespace

std::array<float, 8> create_nf3_map(double offset) {
  const double largest = slow_nf3::quantile(offset);
  const auto at = [&](double steps, double of) {
    const double p = 0.5 + (offset - 0.5) * steps / of;
    return static_cast<float>(slow_nf3::quantile(p) / largest);
  };
  return {-at(3, 3), -at(2, 3), -at(1, 3), 0.0f, at(1, 4), at(2, 4), at(3, 4), at(4, 4)};
}

std::size_t nf3_bytes(std::size_t n) {
  return (3 * n + 7) / 8;
}

void quantize_nf3(std::span<const float> x, std::span<const float, 8> map, std::int64_t blocksize,
                  std::span<std::uint8_t> packed, std::span<float> absmax) {
  for (float& largest : absmax) largest = 0.0f;
  for (std::size_t i = 0; i < x.size(); ++i) {
    float& largest = absmax[block_of(i, blocksize)];
    largest = std::abs(x[i]) > largest ? std::abs(x[i]) : largest;
  }
  std::string text;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double scale = static_cast<double>(absmax[block_of(i, blocksize)]);
    const double scaled = scale > 0.0 ? static_cast<double>(x[i]) / scale : 0.0;
    text += slow_nf3::bits_of_code(slow_nf3::nearest(scaled, wide(map)));
  }
  for (std::size_t j = 0; j < packed.size(); ++j) {
    packed[j] = static_cast<std::uint8_t>(slow_nf3::byte_of_bits(text.substr(8 * j, 8)));
  }
}

void dequantize_nf3(std::span<const std::uint8_t> packed, std::span<const float, 8> map,
                    std::span<const float> absmax, std::int64_t blocksize, std::span<float> out) {
  std::string text;
  for (const std::uint8_t byte : packed) text += slow_nf3::bits_of_byte(byte);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto code = static_cast<std::size_t>(std::stoi(text.substr(3 * i, 3), nullptr, 2));
    out[i] = map[code] * absmax[block_of(i, blocksize)];
  }
}

}  // namespace qlora

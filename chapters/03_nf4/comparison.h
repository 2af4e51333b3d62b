// int8, int4, FP4 and NF4 side by side: what a tensor looks like after a trip through each.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qlora::chapter03 {

/// A format of blocks that share an absmax.
struct Format {
  std::string name;  ///< "NF4"
  int bits;          ///< of a code

  /// y = what x comes back as, in blocks of an even size.
  void (*restore)(std::span<const float> x, std::int64_t blocksize, std::span<float> y);
};

/// int8, int4, FP4, NF4.
const std::vector<Format>& formats();

/// relative_error() of a format.
double error_of(const Format& format, std::span<const float> x, std::int64_t blocksize);

/// The codes of NF4, one a byte.
std::vector<std::uint8_t> nf4_codes(std::span<const float> x, std::int64_t blocksize);

}  // namespace qlora::chapter03

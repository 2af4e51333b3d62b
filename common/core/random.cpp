#include "core/random.h"

#include <numeric>
#include <utility>

#include "core/error.h"

namespace qlora {

std::uint64_t stream_of(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
  const Philox first = philox(0x5152454d41525453u, a, b);
  const std::uint64_t mixed = (std::uint64_t{first.word[0]} << 32) | first.word[1];
  const Philox second = philox(mixed, c, d);
  return (std::uint64_t{second.word[0]} << 32) | second.word[1];
}

std::vector<std::int64_t> permutation(const Random& random, std::int64_t n) {
  require(n >= 0 && n < (std::int64_t{1} << 32), "permutation", "0 <= n < 2^32");
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i) {
    const auto j = random.below(static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(i + 1));
    std::swap(order[static_cast<std::size_t>(i)], order[j]);
  }
  return order;
}

}  // namespace qlora

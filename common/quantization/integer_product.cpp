#include "quantization/integer_product.h"

#include "core/error.h"
#include "core/parallel.h"
#include "core/sizes.h"

namespace qlora {

template <typename Int>
void integer_product(std::span<const Int> a, std::span<const std::int8_t> w, std::int64_t T,
                     std::int64_t N, std::int64_t K, std::span<std::int32_t> acc) {
  require(T >= 0 && N >= 0 && K >= 0 && K <= 65536, "integer_product", "0 <= K <= 65,536");
  require(has_elements(a.size(), T, K) && has_elements(w.size(), N, K) &&
              has_elements(acc.size(), T, N),
          "integer_product", "a (T,K), w (N,K) and acc (T,N)");
  parallel_for(T, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const Int* row = a.data() + t * K;
      for (std::int64_t n = 0; n < N; ++n) {
        const std::int8_t* column = w.data() + n * K;
        std::int32_t sum = 0;
        for (std::int64_t k = 0; k < K; ++k) sum += row[k] * column[k];
        acc[static_cast<std::size_t>(t * N + n)] = sum;
      }
    }
  });
}

template void integer_product<std::int8_t>(std::span<const std::int8_t>,
                                           std::span<const std::int8_t>, std::int64_t, std::int64_t,
                                           std::int64_t, std::span<std::int32_t>);
template void integer_product<std::uint8_t>(std::span<const std::uint8_t>,
                                            std::span<const std::int8_t>, std::int64_t,
                                            std::int64_t, std::int64_t, std::span<std::int32_t>);

}  // namespace qlora

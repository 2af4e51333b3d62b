#include "text/batch.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/random.h"

namespace qlora {
namespace {

// Streams of the data order, apart from those of dropout and of initialization.
constexpr std::uint64_t kOrderStream = 0x64617461;  // "data"

void count(Batch& batch) {
  const std::int64_t T = batch.input_ids.dim(1);
  for (const std::int32_t m : batch.attention_mask.span<std::int32_t>()) batch.tokens += m;
  if (!batch.labels) return;
  const auto labels = batch.labels.span<std::int32_t>();
  for (std::int64_t i = 0; i < batch.labels.numel(); ++i) {
    const bool seen = i % T != 0 && labels[static_cast<std::size_t>(i)] != kIgnoredLabel;
    batch.supervised += seen ? 1 : 0;
  }
}

// Reads the three members of an --ids file.
class IdsReader {
 public:
  IdsReader(std::int32_t vocab_size, const std::string& file)
      : vocab_size_(vocab_size), file_(file) {}

  Batch read(const Json& root) {
    if (!root.is_object()) throw BadInput(file_, "", "not an object with \"input_ids\"");
    const Json& ids = root.at("input_ids");
    if (!ids.is_array() || ids.size() == 0 || !ids.at(std::size_t{0}).is_array() ||
        ids.at(std::size_t{0}).size() == 0) {
      throw BadInput(file_, "input_ids", "not a list of rows of ids");
    }
    shape_ = {static_cast<std::int64_t>(ids.size()),
              static_cast<std::int64_t>(ids.at(std::size_t{0}).size())};
    const auto is_id = [this](std::int64_t id) { return id >= 0 && id < vocab_size_; };
    const std::string ids_are = "an id in 0 … " + std::to_string(vocab_size_ - 1);
    Batch batch;
    batch.input_ids = matrix(ids, "input_ids", ids_are, is_id);
    if (const Json* mask = root.find("attention_mask")) {
      batch.attention_mask = matrix(*mask, "attention_mask", "0 or 1",
                                    [](std::int64_t m) { return m == 0 || m == 1; });
    } else {
      batch.attention_mask = Tensor::empty(DType::i32, shape_);
      std::ranges::fill(batch.attention_mask.span<std::int32_t>(), 1);
    }
    if (const Json* positions = root.find("position_ids")) {
      std::int64_t read = 0, before = 0;
      const auto follows = [&](std::int64_t p) {
        const bool one_more = read++ % shape_[1] != 0 && p == before + 1;
        before = p;
        return p == 0 || one_more;
      };
      batch.position_ids =
          matrix(*positions, "position_ids", "0 or one more than before it", follows);
    }
    if (const Json* labels = root.find("labels")) {
      batch.labels = matrix(*labels, "labels", ids_are + " or -100", [&](std::int64_t label) {
        return label == kIgnoredLabel || is_id(label);
      });
    }
    count(batch);
    return batch;
  }

 private:
  template <typename Allowed>
  Tensor matrix(const Json& rows, const std::string& name, const std::string& expected,
                Allowed&& allowed) const {
    if (!rows.is_array() || std::cmp_not_equal(rows.size(), shape_[0])) {
      throw BadInput(file_, name, "expected " + std::to_string(shape_[0]) + " rows");
    }
    Tensor values = Tensor::empty(DType::i32, shape_);
    std::int32_t* out = values.data<std::int32_t>();
    for (std::size_t b = 0; b < rows.size(); ++b) {
      const std::string place = name + "[" + std::to_string(b) + "]";
      const Json& row = rows.at(b);
      if (!row.is_array() || std::cmp_not_equal(row.size(), shape_[1])) {
        throw BadInput(file_, place,
                       (row.is_array() ? std::to_string(row.size()) + " values" : "not a list") +
                           ", expected " + std::to_string(shape_[1]) + " as in the first row");
      }
      for (std::size_t t = 0; t < row.size(); ++t) {
        const Json& value = row.at(t);
        if (!value.is_integer() || !allowed(value.as_integer())) {
          throw BadInput(file_, place + "[" + std::to_string(t) + "]",
                         value.dump().substr(0, 40) + ", expected " + expected);
        }
        *out++ = static_cast<std::int32_t>(value.as_integer());
      }
    }
    return values;
  }

  std::int32_t vocab_size_;
  const std::string& file_;
  Shape shape_;
};

// The positions of a row among packed ones, which may itself be of one example.
void put_positions(const TokenizedExample& row, std::int32_t* out) {
  if (row.position_ids.empty()) {
    std::iota(out, out + row.input_ids.size(), 0);
  } else {
    require(row.position_ids.size() == row.input_ids.size(), "collate", "a position for every id");
    std::ranges::copy(row.position_ids, out);
  }
}

}  // namespace

Tensor positions_of(const Batch& batch) {
  const std::int64_t n = batch.input_ids.numel(), T = batch.input_ids.dim(1);
  if (batch.position_ids) return batch.position_ids.reshape({n});
  Tensor positions = Tensor::empty(DType::i32, {n});
  for (std::int64_t i = 0; i < n; ++i) {
    positions.data<std::int32_t>()[i] = static_cast<std::int32_t>(i % T);
  }
  return positions;
}

std::int64_t positions_in(const Batch& batch) {
  if (!batch.position_ids) return batch.input_ids.dim(1);
  return std::ranges::max(batch.position_ids.span<std::int32_t>()) + 1;
}

Tensor segments_of(const Batch& batch) {
  if (!batch.position_ids) {
    // Without padding the mask is all ones: then it need not be looked at.
    return batch.tokens < batch.input_ids.numel() ? batch.attention_mask : Tensor();
  }
  const std::int64_t T = batch.input_ids.dim(1);
  Tensor segments = Tensor::zeros(DType::i32, batch.input_ids.shape());
  const std::int32_t* position = batch.position_ids.data<std::int32_t>();
  const std::int32_t* mask =
      batch.attention_mask ? batch.attention_mask.data<std::int32_t>() : nullptr;
  std::int32_t segment = 0;
  for (std::int64_t i = 0; i < segments.numel(); ++i) {
    if (i % T == 0) segment = 0;
    if (mask != nullptr && mask[i] == 0) continue;
    if (segment == 0 || position[i] == 0) ++segment;
    segments.data<std::int32_t>()[i] = segment;
  }
  return segments;
}

Batch collate(std::span<const TokenizedExample> examples, std::span<const std::int64_t> rows,
              std::int32_t pad_id) {
  require(!rows.empty(), "collate", "at least one row");
  std::size_t T = 0;
  bool packed = false;
  for (const std::int64_t row : rows) {
    require(row >= 0 && std::cmp_less(row, examples.size()), "collate", "rows of the data set");
    const TokenizedExample& example = examples[static_cast<std::size_t>(row)];
    T = std::max(T, example.input_ids.size());
    packed = packed || !example.position_ids.empty();
  }
  const Shape shape = {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(T)};
  Batch batch;
  batch.input_ids = Tensor::empty(DType::i32, shape);
  batch.attention_mask = Tensor::zeros(DType::i32, shape);
  batch.labels = Tensor::empty(DType::i32, shape);
  std::ranges::fill(batch.input_ids.span<std::int32_t>(), pad_id);
  std::ranges::fill(batch.labels.span<std::int32_t>(), kIgnoredLabel);
  if (packed) batch.position_ids = Tensor::zeros(DType::i32, shape);
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const TokenizedExample& example = examples[static_cast<std::size_t>(rows[b])];
    require(example.labels.size() == example.input_ids.size(), "collate", "a label for every id");
    std::ranges::copy(example.input_ids, batch.input_ids.data<std::int32_t>() + b * T);
    std::ranges::copy(example.labels, batch.labels.data<std::int32_t>() + b * T);
    std::fill_n(batch.attention_mask.data<std::int32_t>() + b * T, example.input_ids.size(), 1);
    if (packed) put_positions(example, batch.position_ids.data<std::int32_t>() + b * T);
  }
  count(batch);
  return batch;
}

std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch) {
  const std::uint64_t stream = stream_of(kOrderStream, static_cast<std::uint64_t>(epoch));
  return permutation(Random{seed, stream}, n);
}

std::vector<std::int64_t> length_grouped_order(std::span<const std::int64_t> lengths,
                                               std::int64_t batch_size, std::uint64_t seed,
                                               std::int64_t epoch) {
  require(batch_size > 0, "length_grouped_order", "batch_size > 0");
  const auto n = static_cast<std::int64_t>(lengths.size());
  std::vector<std::int64_t> order = epoch_order(n, seed, epoch);
  // At least four pieces, as in transformers, so that small sets keep some of their disorder.
  const std::int64_t batches =
      std::max<std::int64_t>(1, std::min<std::int64_t>(50, n / (batch_size * 4)));
  const std::int64_t piece = batches * batch_size;
  const auto length = [&](std::int64_t row) { return lengths[static_cast<std::size_t>(row)]; };
  const auto longer = [&](std::int64_t a, std::int64_t b) {
    return length(a) != length(b) ? length(a) > length(b) : a < b;
  };
  auto longest = order.begin();
  for (std::int64_t begin = 0; begin < n; begin += piece) {
    const auto first = order.begin() + begin;
    std::sort(first, order.begin() + std::min(n, begin + piece), longer);
    if (length(*first) > length(*longest)) longest = first;
  }
  if (n > 0) std::iter_swap(order.begin(), longest);
  return order;
}

Batch parse_ids(std::string_view text, std::int32_t vocab_size, const std::string& file) {
  return IdsReader(vocab_size, file).read(Json::parse(text, file));
}

Batch read_ids(const std::string& path, std::int32_t vocab_size) {
  return IdsReader(vocab_size, path).read(Json::read(path));
}

}  // namespace qlora

#include "core/arena.h"

#include <algorithm>
#include <cstring>

namespace qlora {
namespace {

constexpr std::size_t kAlignment = 256;  // of a GPU's memory; a block on the host has its own 64
constexpr std::size_t kLeastBlock = std::size_t{4} << 20;

}  // namespace

void Arena::reserve(std::size_t bytes) {
  require(blocks_.empty(), "Arena::reserve", "an arena that nothing was taken from");
  planned_ = true;
  blocks_.push_back({allocate_(DType::u8, {static_cast<std::int64_t>(bytes)}), 0});
}

std::size_t Arena::held_bytes() const {
  return blocks_.empty() ? 0 : blocks_.back().before + blocks_.back().memory.nbytes();
}

Tensor Arena::take(DType dtype, Shape shape) {
  const auto numel = static_cast<std::size_t>(numel_of(shape));
  const std::size_t bytes = (numel * size_of(dtype) + kAlignment - 1) / kAlignment * kAlignment;
  while (at_.block < blocks_.size() && at_.offset + bytes > blocks_[at_.block].memory.nbytes()) {
    at_ = {at_.block + 1, 0};
  }
  if (at_.block == blocks_.size()) {
    const std::size_t before =
        blocks_.empty() ? 0 : blocks_.back().before + blocks_.back().memory.nbytes();
    // As much again as there is: few blocks, however large the step turns out to be.
    const std::size_t size = std::max({bytes, kLeastBlock, planned_ ? 0 : before});
    blocks_.push_back({allocate_(DType::u8, {static_cast<std::int64_t>(size)}), before});
  }
  const Block& block = blocks_[at_.block];
  const auto owner = std::make_shared<Tensor>(block.memory);
  Tensor t = Tensor::view(dtype, std::move(shape), block.memory.data<std::uint8_t>() + at_.offset,
                          owner, block.memory.device());
  at_.offset += bytes;
  peak_ = std::max(peak_, block.before + at_.offset);
  return t;
}

Tensor Arena::take_zeros(DType dtype, Shape shape) {
  Tensor t = take(dtype, std::move(shape));
  zero_(t);
  return t;
}

}  // namespace qlora

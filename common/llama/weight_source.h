// Where a model's weights come from, tensor by tensor: the files of a folder, or a random
// generator.
#pragma once

#include "checkpoint/tensor_files.h"
#include "core/random.h"
#include "ops/linear.h"

namespace qlora {

/// Hands out one tensor at a time, so that a model need never be in memory twice.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// A dense weight in the dtype that it is stored in, on the host or where it was made.
  /// @throws BadInput where there is none of this shape
  virtual Tensor weight(const std::string& name, const Shape& shape) const = 0;
  /// The weight has been used: its memory is not needed any more.
  virtual void done(const std::string& name) const = 0;

  /// Whether a weight is stored quantized, and its codes on the host.
  virtual bool has_codes(const std::string& name) const = 0;
  virtual void take_codes(const std::string& name, const Shape& shape, Projection& p) const = 0;
};

/// Tensors of a Hugging Face folder; every shape is held against what config.json asks for.
class FileWeights : public WeightSource {
 public:
  /// The files outlive this.
  explicit FileWeights(const TensorFiles& files) : files_(files) {}
  Tensor weight(const std::string& name, const Shape& shape) const override;
  void done(const std::string& name) const override { files_.release(name); }
  bool has_codes(const std::string& name) const override;
  void take_codes(const std::string& name, const Shape& shape, Projection& p) const override;

 private:
  const TensorFiles& files_;
};

/// Weights of N(0, 0.02²) in bfloat16, norms 1, made on a device: any shape without a download.
class RandomWeights : public WeightSource {
 public:
  /// Of another seed other weights.
  RandomWeights(Device device, std::uint64_t seed) : device_(device), seed_(seed) {}
  Tensor weight(const std::string& name, const Shape& shape) const override;
  void done(const std::string&) const override {}
  bool has_codes(const std::string&) const override { return false; }
  void take_codes(const std::string&, const Shape&, Projection&) const override {}

 private:
  Device device_;
  std::uint64_t seed_;
};

}  // namespace qlora

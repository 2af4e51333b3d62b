#include "checkpoint/bitsandbytes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <memory>

namespace qlora {
namespace {

constexpr std::array<QuantType, 2> kTypes{QuantType::nf4, QuantType::fp4};

std::string state_key(QuantType type) {
  return std::string(".quant_state.bitsandbytes__").append(to_string(type));
}

// The parts of one stored tensor, checked as they are taken.
class Parts {
 public:
  Parts(const TensorFiles& files, std::string name) : files_(files), name_(std::move(name)) {}

  [[noreturn]] void fail(const std::string& part, const std::string& problem) const {
    const std::string full = name_ + part;
    throw BadInput(files_.has(full) ? files_.file_of(full).path() : files_.path(), full, problem);
  }

  bool has(const std::string& part) const { return files_.has(name_ + part); }

  Tensor take(const std::string& part, DType dtype, std::int64_t elements) {
    const TensorInfo& info = known(part);
    if (info.dtype != dtype || info.shape != Shape{elements}) {
      fail(part, "is " + describe(info) + ", expected " + describe({"", dtype, {elements}}));
    }
    return files_.tensor(name_ + part);
  }

  // The codes: bytes, whatever dtype they were stored under (bnb_4bit_quant_storage).
  Tensor take_codes(std::int64_t bytes) {
    const TensorInfo& info = known("");
    if (info.nbytes() != static_cast<std::size_t>(bytes) || info.shape.empty()) {
      fail("", "is " + describe(info) + ", expected " + std::to_string(bytes) + " bytes of codes");
    }
    const auto stored = std::make_shared<Tensor>(files_.tensor(name_));
    return Tensor::view(DType::u8, {bytes, 1}, stored->raw(), stored);
  }

  Json take_state(QuantType type) {
    const std::string part = state_key(type);
    const TensorInfo& info = known(part);
    if (info.dtype != DType::u8 || info.shape.size() != 1) {
      fail(part, "is " + describe(info) + ", expected bytes of text");
    }
    const Tensor text = files_.tensor(name_ + part);
    return Json::parse({static_cast<const char*>(text.raw()), text.nbytes()},
                       files_.file_of(name_ + part).path() + ": " + name_ + part);
  }

  // Names that nothing has asked for belong to a format that this is not.
  void check_all_known() const {
    for (const std::string& full : files_.names_with_prefix(name_ + ".")) {
      const std::string part = full.substr(name_.size());
      if (std::find(taken_.begin(), taken_.end(), part) == taken_.end()) {
        fail(part, "is not a part of a 4-bit tensor of this kind");
      }
    }
  }

 private:
  static std::string describe(const TensorInfo& info) {
    return std::string(safetensors_name(info.dtype)) + to_string(info.shape);
  }

  const TensorInfo& known(const std::string& part) {
    if (!has(part)) fail(part, "is missing");
    taken_.push_back(part);
    return files_.info(name_ + part);
  }

  const TensorFiles& files_;
  std::string name_;
  std::vector<std::string> taken_;
};

QuantType type_of(const Parts& parts) {
  std::vector<QuantType> found;
  for (const QuantType type : kTypes) {
    if (parts.has(state_key(type))) found.push_back(type);
  }
  if (found.empty())
    parts.fail(state_key(QuantType::nf4), "is missing: it is not stored in 4 bits");
  if (found.size() > 1) parts.fail("", "has a quant_state of two types");
  return found.front();
}

Shape shape_of(const Json& state, const std::optional<Shape>& expected, const Parts& parts) {
  const Json* json = state.find("shape");
  if (json == nullptr) {
    if (!expected) parts.fail("", "the shape in its quant_state is null, and none is known");
    return *expected;
  }
  Shape shape;
  std::int64_t n = 1;
  for (const Json& d : json->as_array()) {
    shape.push_back(d.as_integer());
    if (shape.back() < 0 ||
        __builtin_mul_overflow(n, std::max<std::int64_t>(shape.back(), 1), &n)) {
      parts.fail("", "the shape in its quant_state, " + json->dump() + ", is not one of a tensor");
    }
  }
  if (expected && shape != *expected) {
    parts.fail("", "has the shape " + to_string(shape) + ", expected " + to_string(*expected));
  }
  return shape;
}

std::int64_t blocksize_of(const Json& state, const char* key, std::int64_t least,
                          const Parts& parts) {
  constexpr std::int64_t most = 4096;
  const std::int64_t size = state.at(key).as_integer();
  if (size < least || size > most || !std::has_single_bit(static_cast<std::uint64_t>(size))) {
    parts.fail("", std::string(key) + " is " + std::to_string(size) +
                       ", expected a power of two from " + std::to_string(least) + " to " +
                       std::to_string(most));
  }
  return size;
}

DType value_dtype(const Json& json, const Parts& parts) {
  const std::optional<DType> dtype = dtype_from_python(json.as_string());
  if (!dtype || !is_floating(*dtype) || *dtype == DType::f64) {
    parts.fail("", "the dtype in its quant_state is " + json.dump() +
                       ", expected float32, float16 or bfloat16");
  }
  return *dtype;
}

void check_keys(const Json& state, bool nested, const Parts& parts) {
  std::vector<std::string_view> known{"quant_type", "blocksize", "dtype", "shape"};
  if (nested) known.insert(known.end(), {"nested_blocksize", "nested_dtype", "nested_offset"});
  for (const auto& [key, value] : state.as_object()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      parts.fail("", "its quant_state has an unknown member \"" + key + "\"");
    }
  }
}

std::int64_t ceil_divide(std::int64_t n, std::int64_t by) {
  return n / by + (n % by != 0 ? 1 : 0);
}

void read_nested(const Json& state, Parts& parts, QuantizedTensor& q) {
  q.nested_blocksize = blocksize_of(state, "nested_blocksize", 1, parts);
  if (state.at("nested_dtype").as_string() != "float32") {
    parts.fail("", "nested_dtype is " + state.at("nested_dtype").dump() + ", expected float32");
  }
  q.offset = static_cast<float>(state.at("nested_offset").as_number());
  if (!std::isfinite(q.offset)) parts.fail("", "nested_offset is beyond float32");
  q.nested_absmax =
      parts.take(".nested_absmax", DType::f32, ceil_divide(q.blocks(), q.nested_blocksize));
  q.nested_code = parts.take(".nested_quant_map", DType::f32, 256);
}

}  // namespace

bool is_stored_in_4bit(const TensorFiles& files, const std::string& name) {
  return std::any_of(kTypes.begin(), kTypes.end(),
                     [&](QuantType type) { return files.has(name + state_key(type)); });
}

QuantizedTensor read_4bit(const TensorFiles& files, const std::string& name,
                          const std::optional<Shape>& shape) {
  Parts parts(files, name);
  QuantizedTensor q;
  q.type = type_of(parts);
  const Json state = parts.take_state(q.type);
  if (state.at("quant_type").as_string() != to_string(q.type)) {
    parts.fail("", "its quant_state says quant_type " + state.at("quant_type").dump());
  }
  q.blocksize = blocksize_of(state, "blocksize", 32, parts);
  q.dtype = value_dtype(state.at("dtype"), parts);
  q.shape = shape_of(state, shape, parts);
  q.packed = parts.take_codes(ceil_divide(q.numel(), 2));
  q.code = parts.take(".quant_map", DType::f32, 16);
  const bool nested = state.find("nested_offset") != nullptr || parts.has(".nested_absmax");
  q.absmax =
      parts.take(".absmax", nested ? DType::u8 : DType::f32, ceil_divide(q.numel(), q.blocksize));
  if (nested) read_nested(state, parts, q);
  check_keys(state, nested, parts);
  parts.check_all_known();
  try {
    validate(q);
  } catch (const std::invalid_argument& e) {
    parts.fail("", e.what());
  }
  return q;
}

std::string quant_state_text(const QuantizedTensor& q) {
  Json state = Json::object();
  state["quant_type"] = std::string(to_string(q.type));
  state["blocksize"] = q.blocksize;
  state["dtype"] = std::string(python_name(q.dtype));
  Json& shape = state["shape"] = Json::array();
  for (const std::int64_t d : q.shape) shape.push_back(d);
  if (q.nested()) {
    state["nested_blocksize"] = q.nested_blocksize;
    state["nested_dtype"] = "float32";
    state["nested_offset"] = static_cast<double>(q.offset);
  }
  return state.dump();
}

NamedTensors parts_of_4bit(const std::string& name, const QuantizedTensor& q) {
  const std::string text = quant_state_text(q);
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(text.data()),
                                            text.size());
  NamedTensors parts{{name, q.packed}, {name + ".absmax", q.absmax}, {name + ".quant_map", q.code}};
  if (q.nested()) {
    parts.emplace_back(name + ".nested_absmax", q.nested_absmax);
    parts.emplace_back(name + ".nested_quant_map", q.nested_code);
  }
  parts.emplace_back(name + state_key(q.type),
                     Tensor::from(bytes, {static_cast<std::int64_t>(bytes.size())}));
  return parts;
}

}  // namespace qlora

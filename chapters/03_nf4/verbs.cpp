#include "verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <utility>

#include "checkpoint/quantize_files.h"
#include "core/files.h"
#include "course/progress.h"
#include "course/provenance.h"
#include "course/text.h"

namespace qlora {
namespace {

constexpr double kMegabyte = 1e6;

void check_source(const ConversionOptions& o) {
  if (o.input.has_value() == o.model.has_value()) {
    throw UsageError("one of --input FILE and --model DIR is needed");
  }
}

QuantizeSettings settings_of(const ConversionOptions& o) {
  constexpr std::array<std::pair<std::string_view, StoredFormat>, 4> kFormats{
      {{"nf4", StoredFormat::nf4},
       {"fp4", StoredFormat::fp4},
       {"int8", StoredFormat::int8},
       {"blockwise8", StoredFormat::blockwise8}}};
  const StoredFormat format =
      std::ranges::find(kFormats, o.type, &std::pair<std::string_view, StoredFormat>::first)
          ->second;
  const bool is_8bit = format == StoredFormat::int8 || format == StoredFormat::blockwise8;
  if (is_8bit && o.double_quant) {
    throw UsageError("--double-quant is for nf4 and fp4, not for " + o.type);
  }
  if (format == StoredFormat::blockwise8 && o.model) {
    throw UsageError("--type blockwise8 is for files: transformers loads no such model");
  }
  if (o.blocksize < 32 || o.blocksize > 4096 ||
      !std::has_single_bit(static_cast<std::uint64_t>(o.blocksize))) {
    throw UsageError(fmt::format("--blocksize is {}, expected 32, 64, 128, … 4096", o.blocksize));
  }
  return {format, o.blocksize, o.double_quant};
}

// Runs a conversion under a progress bar, prints what it did and writes it to --json.
template <typename F>
void report(const char* verb, const ConversionOptions& o, F&& convert) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<Progress> progress;
  const QuantizeSummary s =
      convert([&](std::size_t done, std::size_t total, const std::string& tensor) {
        const auto megabytes = [](std::size_t bytes) {
          return static_cast<std::int64_t>(static_cast<double>(bytes) / kMegabyte + 1.0);
        };
        if (!progress) progress.emplace(verb, megabytes(total), "MB");
        progress->update(megabytes(done), [&] { return tensor; });
      });
  if (progress) progress->finish("");
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double bits = s.elements == 0 ? 0.0
                                      : 8.0 * static_cast<double>(s.bytes_quantized) /
                                            static_cast<double>(s.elements);
  fmt::print("{}: {} tensors of {} values, {:.3f} bits a value; {} tensors kept\n", verb,
             s.converted, grouped(s.elements), bits, s.kept);
  fmt::print("{:.1f} MB read, {:.1f} MB written in {:.1f} s: {}\n",
             static_cast<double>(s.bytes_read) / kMegabyte,
             static_cast<double>(s.bytes_written) / kMegabyte, seconds, o.output);
  Json j = Json::object();
  j["verb"] = verb;
  j["output"] = o.output;
  j["tensors_converted"] = static_cast<std::int64_t>(s.converted);
  j["tensors_kept"] = static_cast<std::int64_t>(s.kept);
  j["values"] = s.elements;
  j["bits_per_value"] = bits;
  j["bytes_read"] = static_cast<std::int64_t>(s.bytes_read);
  j["bytes_written"] = static_cast<std::int64_t>(s.bytes_written);
  j["seconds"] = seconds;
  write_results(o.json.value_or(""), j);
}

}  // namespace

void run_quantize(const ConversionOptions& o) {
  check_source(o);
  const QuantizeSettings settings = settings_of(o);
  report("quantize", o, [&](const QuantizeProgress& progress) {
    if (o.input) return quantize_file(*o.input, o.output, settings, progress);
    return quantize_folder(*o.model, o.output, settings, *dtype_from_python(o.compute_dtype),
                           progress);
  });
}

void run_dequantize(const ConversionOptions& o) {
  check_source(o);
  const std::optional<DType> dtype = o.dtype ? dtype_from_python(*o.dtype) : std::nullopt;
  report("dequantize", o, [&](const QuantizeProgress& progress) {
    if (o.input) return dequantize_file(*o.input, o.output, dtype, progress);
    return dequantize_folder(*o.model, o.output, dtype, progress);
  });
}

}  // namespace qlora

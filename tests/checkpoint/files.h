// Files made byte by byte, and what is said about the bad ones.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <span>
#include <string>

#include "checkpoint/safetensors.h"
#include "core/files.h"

namespace qlora::testing {

/// A safetensors file: the header's length, the header, and the data.
inline std::string safetensors_bytes(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

inline std::span<const std::byte> as_bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline SafetensorsFile parse_text(const std::string& bytes) {
  return SafetensorsFile::parse(as_bytes_of(bytes), "f.safetensors");
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// The line that f's Error says, which must end in exit code 3; "" if it throws none.
template <typename F>
std::string bad_input(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::bad_input) << e.what();
    return e.what();
  }
  return "";
}

/// All tensors of a file, in the order of their bytes.
inline NamedTensors all_tensors(const SafetensorsFile& file) {
  NamedTensors tensors;
  for (const std::string& name : file.names()) tensors.emplace_back(name, file.tensor(name));
  return tensors;
}

}  // namespace qlora::testing

/// What f says contains `text`.
#define EXPECT_BAD_INPUT(f, text)                                                               \
  do {                                                                                          \
    const std::string said = ::qlora::testing::bad_input([&] { f; });                           \
    EXPECT_NE(said.find(text), std::string::npos) << "says \"" << said << "\", not " << (text); \
  } while (false)

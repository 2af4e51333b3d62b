// Golden values that stand in JSON as plain lists and hexadecimal text.
#pragma once

#include <string>

#include "core/json.h"
#include "fixtures.h"

namespace qlora::testing {

inline Floats floats_of(const Json& array) {
  Floats values;
  for (const Json& value : array.as_array()) {
    values.push_back(static_cast<float>(value.as_number()));
  }
  return values;
}

inline Bytes bytes_of(const std::string& hex) {
  Bytes bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

}  // namespace qlora::testing

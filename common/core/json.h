// JSON values behind a header of our own: nlohmann/json is included in json.cpp only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace qlora {

/// A JSON value. Objects keep their order. Every accessor that fails throws BadInput naming the
/// file and the path of the value inside it ("config.json: rope_scaling.factor: …").
class Json {
 public:
  /// What arrays and objects are held as.
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  /// Null, or the value, implicit on purpose; a const char* is a string, never a bool.
  Json() = default;
  Json(bool value) : value_(value) {}
  Json(double value) : value_(value) {}
  Json(std::int64_t value) : value_(value) {}
  Json(int value) : value_(std::int64_t{value}) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  explicit Json(Object value) : value_(std::move(value)) {}
  /// An empty object, an empty array.
  static Json object() { return Json(Object{}); }
  static Json array() { return Json(Array{}); }

  /// Parses strict UTF-8 JSON: no duplicate keys, no comments, no trailing text, at most 64 levels.
  /// @param file  named in error messages, with line and column
  /// @throws BadInput
  static Json parse(std::string_view text, const std::string& file);
  /// Reads and parses a file. @throws BadInput, also if it is not there or above 256 MiB
  static Json read(const std::string& path);

  /// What the value is. An integer is a number too: one without fraction or exponent that fits.
  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_integer() const { return std::holds_alternative<std::int64_t>(value_); }
  bool is_number() const { return is_integer() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  /// The value as a C++ type. @throws BadInput if it is of another kind
  bool as_bool() const;
  std::int64_t as_integer() const;
  double as_number() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;

  /// Member of an object, or nullptr (also where it is null).
  const Json* find(std::string_view key) const;
  /// Member of an object. @throws BadInput if it is not there
  const Json& at(std::string_view key) const;
  const Json& at(std::size_t index) const;
  std::size_t size() const;

  /// Sets or replaces a member (a null becomes an object).
  Json& operator[](std::string_view key);
  void push_back(Json value);

  /// @throws BadInput always: the value was found where `expected` should stand
  [[noreturn]] void reject(std::string_view expected) const;

  /// Text as Python's json.dumps writes it: indent < 0 is one line with ", " and ": ", otherwise
  /// that many spaces a level; non-finite numbers are written as null.
  std::string dump(int indent = -1, bool sort_keys = false) const;

 private:
  void locate(const std::string& file, const std::string& path);

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
  std::string file_;  // where it was parsed from, for messages
  std::string path_;
};

}  // namespace qlora

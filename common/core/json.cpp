#include "core/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"

namespace qlora {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::streamoff kMaxFile = 256 << 20;

// Builds Json values from the parser's events; refuses what the parser would let pass.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Json result;
  std::string problem;
  std::size_t position = 0;

  bool null() override { return put(Json()); }
  bool boolean(bool value) override { return put(Json(value)); }
  bool number_integer(std::int64_t value) override { return put(Json(value)); }
  bool number_unsigned(std::uint64_t value) override {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return put(Json(static_cast<double>(value)));
    }
    return put(Json(static_cast<std::int64_t>(value)));
  }
  bool number_float(double value, const std::string&) override { return put(Json(value)); }
  bool string(std::string& value) override { return put(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(true); }
  bool end_object() override { return keys_differ() && close(); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    stack_.back().key = std::move(name);
    return true;
  }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception&) override {
    position = at;
    if (problem.empty()) problem = "not valid JSON";
    return false;
  }

 private:
  // An object or array whose end has not come yet.
  struct Container {
    bool is_object = false;
    std::string key;  // of the member whose value comes next
    Json::Object members;
    Json::Array items;
  };

  bool put(Json value) {
    if (stack_.empty()) {
      result = std::move(value);
    } else if (stack_.back().is_object) {
      stack_.back().members.emplace_back(std::move(stack_.back().key), std::move(value));
    } else {
      stack_.back().items.push_back(std::move(value));
    }
    return true;
  }
  bool open(bool is_object) {
    if (stack_.size() >= kMaxDepth) {
      problem = "nested more than 64 levels deep";
      return false;
    }
    stack_.push_back({is_object, {}, {}, {}});
    return true;
  }
  bool close() {
    Container done = std::move(stack_.back());
    stack_.pop_back();
    return put(done.is_object ? Json(std::move(done.members)) : Json(std::move(done.items)));
  }
  // Sorted, not searched member by member: a vocabulary is an object of 128,000.
  bool keys_differ() {
    std::vector<std::string_view> names;
    for (const Json::Member& m : stack_.back().members) names.emplace_back(m.first);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) return true;
    problem = "the key \"" + std::string(*twice) + "\" stands twice";
    return false;
  }

  std::vector<Container> stack_;
};

std::string line_and_column(std::string_view text, std::size_t position) {
  position = std::min(position, text.size());
  const auto before = text.substr(0, position);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
  return "line " + std::to_string(line) + ", column " + std::to_string(position - start);
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// Python's repr: the shortest digits that give the same double (nlohmann's are not always), without
// an exponent from 1e-4 to 1e16.
std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  const double magnitude = std::abs(value);
  const bool fixed = magnitude == 0.0 || (magnitude >= 1e-4 && magnitude < 1e16);
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 fixed ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(buffer.data(), end.ptr);
  if (fixed && text.find('.') == std::string::npos) text += ".0";
  return text;
}

void write(const Json& value, int indent, int level, bool sort_keys, std::string& out) {
  const auto newline = [&](int to) {
    if (indent >= 0) out += "\n" + std::string(static_cast<std::size_t>(indent * to), ' ');
  };
  const auto separate = [&](bool first) {
    if (!first) out += indent >= 0 ? "," : ", ";
    newline(level + 1);
  };
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_integer()) {
    out += std::to_string(value.as_integer());
  } else if (value.is_number()) {
    out += number(value.as_number());
  } else if (value.is_string()) {
    out += quoted(value.as_string());
  } else if (value.size() == 0) {
    out += value.is_array() ? "[]" : "{}";
  } else if (value.is_array()) {
    out += "[";
    for (const Json& item : value.as_array()) {
      separate(&item == value.as_array().data());
      write(item, indent, level + 1, sort_keys, out);
    }
    newline(level);
    out += "]";
  } else {
    std::vector<const Json::Member*> members;
    for (const Json::Member& m : value.as_object()) members.push_back(&m);
    if (sort_keys) {
      std::sort(members.begin(), members.end(),
                [](auto* a, auto* b) { return a->first < b->first; });
    }
    out += "{";
    for (const Json::Member* m : members) {
      separate(m == members.front());
      out += quoted(m->first) + ": ";
      write(m->second, indent, level + 1, sort_keys, out);
    }
    newline(level);
    out += "}";
  }
}

}  // namespace

Json Json::parse(std::string_view text, const std::string& file) {
  // nlohmann/json takes a zero byte for the end of the text.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    throw BadInput(file, line_and_column(text, zero + 1), "a zero byte");
  }
  Builder builder;
  const bool done = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  if (!done) {
    const std::string place = builder.position > 0 ? line_and_column(text, builder.position) : "";
    throw BadInput(file, place, builder.problem.empty() ? "not valid JSON" : builder.problem);
  }
  builder.result.locate(file, "");
  return std::move(builder.result);
}

Json Json::read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw BadInput(path, "", "cannot be opened");
  in.seekg(0, std::ios::end);
  const std::streamoff size = in.tellg();
  if (size < 0 || size > kMaxFile) throw BadInput(path, "", "is not a JSON file below 256 MiB");
  std::string text(static_cast<std::size_t>(size), '\0');
  in.seekg(0);
  in.read(text.data(), size);
  if (!in) throw BadInput(path, "", "cannot be read");
  return parse(text, path);
}

void Json::locate(const std::string& file, const std::string& path) {
  file_ = file;
  path_ = path;
  if (auto* items = std::get_if<Array>(&value_)) {
    for (std::size_t i = 0; i < items->size(); ++i) {
      (*items)[i].locate(file, path + "[" + std::to_string(i) + "]");
    }
  } else if (auto* members = std::get_if<Object>(&value_)) {
    for (Member& m : *members) m.second.locate(file, path.empty() ? m.first : path + "." + m.first);
  }
}

void Json::reject(std::string_view expected) const {
  std::string found = dump();
  if (found.size() > 40) found = found.substr(0, 37) + "...";
  throw BadInput(file_, path_, "found " + found + ", expected " + std::string(expected));
}

bool Json::as_bool() const {
  if (!is_bool()) reject("true or false");
  return std::get<bool>(value_);
}

std::int64_t Json::as_integer() const {
  if (!is_integer()) reject("a whole number");
  return std::get<std::int64_t>(value_);
}

double Json::as_number() const {
  if (is_integer()) return static_cast<double>(std::get<std::int64_t>(value_));
  if (!is_number()) reject("a number");
  return std::get<double>(value_);
}

const std::string& Json::as_string() const {
  if (!is_string()) reject("a string");
  return std::get<std::string>(value_);
}

const Json::Array& Json::as_array() const {
  if (!is_array()) reject("an array");
  return std::get<Array>(value_);
}

const Json::Object& Json::as_object() const {
  if (!is_object()) reject("an object");
  return std::get<Object>(value_);
}

const Json* Json::find(std::string_view key) const {
  for (const Member& m : as_object()) {
    if (m.first == key) return m.second.is_null() ? nullptr : &m.second;
  }
  return nullptr;
}

const Json& Json::at(std::string_view key) const {
  for (const Member& m : as_object()) {
    if (m.first == key) return m.second;
  }
  throw BadInput(file_, path_, "the member \"" + std::string(key) + "\" is missing");
}

const Json& Json::at(std::size_t index) const {
  if (index >= as_array().size())
    reject("an array of more than " + std::to_string(index) + " items");
  return as_array()[index];
}

std::size_t Json::size() const {
  if (is_array()) return as_array().size();
  return as_object().size();
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = Object{};
  if (!is_object()) reject("an object");
  auto& members = std::get<Object>(value_);
  for (Member& m : members) {
    if (m.first == key) return m.second;
  }
  return members.emplace_back(std::string(key), Json()).second;
}

void Json::push_back(Json value) {
  if (is_null()) value_ = Array{};
  if (!is_array()) reject("an array");
  std::get<Array>(value_).push_back(std::move(value));
}

std::string Json::dump(int indent, bool sort_keys) const {
  std::string out;
  write(*this, indent, 0, sort_keys, out);
  return out;
}

}  // namespace qlora

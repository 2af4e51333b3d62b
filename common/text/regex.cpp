#include "text/regex.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "core/error.h"
#include "text/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace qlora {
namespace {

constexpr std::size_t kMaxPattern = std::size_t{1} << 16;
constexpr std::uint32_t kMaxHeapKiB = 64 << 10;

std::string message(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

std::string with_unicode_space(std::string_view pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char next = pattern[i] == '\\' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (next == 's' || next == 'S') {
      out += next == 's' ? "\\p{White_Space}" : "\\P{White_Space}";
      ++i;
    } else {
      out += pattern[i];
      if (next != '\0') out += pattern[++i];
    }
  }
  return out;
}

// A hostile pattern may take exponential time: PCRE2's limit of 10 million steps stays, its 20 GB
// do not.
const pcre2_match_context* limits() {
  static pcre2_match_context* const context = [] {
    pcre2_match_context* made = pcre2_match_context_create(nullptr);
    if (made == nullptr) throw std::bad_alloc();
    pcre2_set_heap_limit(made, kMaxHeapKiB);
    return made;
  }();
  return context;
}

}  // namespace

Regex::Regex(std::string_view pattern, Syntax syntax, std::string file, std::string place)
    : file_(std::move(file)), place_(std::move(place)) {
  if (pattern.empty() || pattern.size() > kMaxPattern) {
    throw BadInput(file_, place_, "a pattern of no bytes, or of more than 65,536");
  }
  const bool literal = syntax == Syntax::literal;
  const std::string text = literal ? std::string(pattern) : with_unicode_space(pattern);
  const std::uint32_t options =
      literal ? PCRE2_LITERAL | PCRE2_UTF : PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), options,
                                   &error, &offset, nullptr);
  if (code == nullptr) {
    throw BadInput(file_, place_, "PCRE2 refuses the regular expression: " + message(error));
  }
  code_ = std::shared_ptr<const pcre2_code>(
      code, [](const pcre2_code* c) { pcre2_code_free(const_cast<pcre2_code*>(c)); });
  // Where there is no compiler for this machine the pattern is interpreted.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
}

void Regex::Search::Free::operator()(pcre2_real_match_data_8* data) const {
  pcre2_match_data_free(data);
}

Regex::Search::Search(const Regex& regex)
    : regex_(regex), data_(pcre2_match_data_create(1, nullptr)) {
  if (!data_) throw std::bad_alloc();
}

void Regex::Search::start(std::string_view text) {
  text_ = text;
  from_ = begin_ = end_ = 0;
  matched_ = false;
}

bool Regex::Search::find(std::size_t from) {
  const auto match = [&](std::uint32_t options) {
    return pcre2_match(regex_.code_.get(), reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(),
                       from, options | PCRE2_NO_UTF_CHECK, data_.get(),
                       const_cast<pcre2_match_context*>(limits()));
  };
  int found = match(0);
  // The compiled form has a small stack, the interpreter the heap.
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0) {
    throw BadInput(regex_.file_, regex_.place_,
                   "the regular expression gave up on a text: " + message(found));
  }
  return true;
}

bool Regex::Search::next() {
  while (from_ <= text_.size() && find(from_)) {
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data_.get());
    const bool again = matched_ && offsets[0] == offsets[1] && offsets[1] == end_;
    if (!again) {
      // \K can move the beginning behind what was returned before.
      if (offsets[0] < end_ || offsets[1] < offsets[0]) {
        throw BadInput(regex_.file_, regex_.place_, "matches of the regular expression overlap");
      }
      begin_ = offsets[0];
      from_ = end_ = offsets[1];
      matched_ = true;
      return true;
    }
    from_ += std::max<std::size_t>(first_character(text_.substr(from_)).length, 1);
  }
  return false;
}

}  // namespace qlora

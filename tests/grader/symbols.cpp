#include "symbols.h"

#include <array>
#include <sstream>
#include <string_view>

namespace qlora::grader {
namespace {

bool begins_with_one_of(std::string_view name, auto prefixes) {
  for (const std::string_view prefix : prefixes) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

// Made by the compiler: the personality routine, AddressSanitizer's and the thread-local wrappers.
constexpr std::array<std::string_view, 3> kCompilers = {"DW.ref.", "__odr_asan", "__asan"};
// new and delete, and what is in std; weak ones are instantiated templates.
constexpr std::array<std::string_view, 7> kLibrarys = {"_Znw", "_Zna",  "_Zdl",  "_Zda",
                                                       "_ZSt", "_ZNSt", "_ZNKSt"};
constexpr std::array<std::string_view, 2> kTests = {"_ZN7testing", "_ZNK7testing"};

}  // namespace

std::string refusal(const std::string& symbols) {
  std::istringstream in(symbols);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    char kind = 0;
    if (!(words >> name >> kind)) continue;
    if (begins_with_one_of(name, kTests)) return "it uses the test framework (" + name + ")";
    const bool undefined = kind == 'U' || kind == 'w' || kind == 'v';
    const bool local = kind >= 'a' && kind <= 'z' && kind != 'i' && kind != 'u';
    if (undefined || local || begins_with_one_of(name, kCompilers)) continue;
    if (!name.starts_with("_Z")) return "it defines " + name + ", which is no name of C++";
    const bool weak = kind == 'W' || kind == 'V' || kind == 'u';
    if (!weak && begins_with_one_of(name, kLibrarys)) {
      return "it defines " + name + ", which is the library's";
    }
  }
  return "";
}

}  // namespace qlora::grader

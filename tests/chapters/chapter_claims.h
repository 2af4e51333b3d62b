// What the claims of every chapter are asked: whether they follow the inputs that the course gives.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "course/ledger.h"

namespace qlora::testing {

/// The claims of a chapter, by its CourseInputs and the fill_claims() beside them.
template <typename Inputs>
struct ChapterClaims {
  const char* chapter;  ///< "01_min_max_quantization"

  Ledger ledger(const Inputs& in = {}) const {
    Ledger filled(std::string(QLORA_SOURCE_DIR "/chapters/") + chapter + "/numbers.json");
    fill_claims(filled, in);
    return filled;
  }

  /// Expects each of these claims to have another computed value after `change`.
  void expect_follow(const std::vector<std::string>& ids,
                     const std::function<void(Inputs&)>& change) const {
    Inputs changed;
    change(changed);
    const Json before = ledger().json(), after = ledger(changed).json();
    for (const std::string& id : ids) {
      EXPECT_NE(computed(before, id), "") << id;
      EXPECT_NE(computed(before, id), computed(after, id)) << id;
    }
  }

 private:
  static std::string computed(const Json& rows, const std::string& id) {
    for (const Json& row : rows.as_array()) {
      if (row.at("id").as_string() == id) return row.at("computed").as_string();
    }
    return "";
  }
};

}  // namespace qlora::testing

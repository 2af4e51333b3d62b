// What the course says about DoRA, and what its own inputs come to.
#pragma once

#include <cstdint>
#include <vector>

#include "course/ledger.h"

namespace qlora::chapter16 {

/// The course's inputs.
struct CourseInputs {
  std::vector<std::int64_t> rows{3072, 1024, 1024, 3072};  ///< out-features of q, k, v and o
  std::int64_t layers = 28;                                ///< of these
};

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter16

// What the course says about evaluation, and what its own inputs come to.
#pragma once

#include <string>

#include "course/ledger.h"

namespace qlora::chapter14 {

/// The course's inputs.
struct CourseInputs {
  std::string project = "price";                  ///< PROJECT_NAME
  std::string run_pattern = "%Y-%m-%d_%H.%M.%S";  ///< of RUN_NAME, for strftime
  std::string started = "2025-11-30T15:10:55";    ///< when the run began whose adapter it inspects
  bool lite_mode = false;                         ///< LITE_MODE where the data are chosen
  bool lite_mode_of_training = true;              ///< LITE_MODE in section 7.1 of the same notebook
  std::string inspected_run = "2025-11-30_15.10.55-lite";  ///< whose model tree it prints
};

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter14

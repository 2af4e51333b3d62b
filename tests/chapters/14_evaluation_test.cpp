// Chapter 14's claims: they hold for the course's inputs, and follow other inputs.
#include "14_evaluation/claims.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "chapters/chapter_claims.h"
#include "core/json.h"

namespace qlora::chapter14 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"14_evaluation"};

TEST(Chapter14, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter14, NamesFollowTheProjectAndTheTime) {
  kClaims.expect_follow({"EV-01"}, [](CourseInputs& in) { in.project = "medical"; });
  kClaims.expect_follow({"EV-01"}, [](CourseInputs& in) { in.run_pattern = "%H-%M"; });
  kClaims.expect_follow({"EV-01"}, [](CourseInputs& in) { in.started = "2026-01-02T03:04:05"; });
  kClaims.expect_follow({"EV-03"}, [](CourseInputs& in) { in.lite_mode = true; });
  kClaims.expect_follow({"EV-03"}, [](CourseInputs& in) { in.lite_mode_of_training = false; });
  kClaims.expect_follow({"EV-03"}, [](CourseInputs& in) { in.inspected_run = "full"; });
}

// A name that leaves the day out does not say when its run began.
TEST(Chapter14, ARunsNameSaysWhenItBegan) {
  CourseInputs in;
  in.run_pattern = "%H.%M.%S";
  EXPECT_ANY_THROW(kClaims.ledger(in).check());
}

// The course's criteria of success, and the chapters whose tasks ask for them: explain the
// decomposition, configure QLoRA for a size, fine-tune and evaluate, tune hyperparameters, debug
// memory and training.
TEST(Chapter14, EverySuccessCriterionHasItsExercise) {
  const std::pair<const char*, const char*> tasks[] = {
      {"05_lora_decomposition", "lora"},     {"09_memory_footprint", "training_shape"},
      {"12_qlora_finetuning", "linear"},     {"14_evaluation", "metrics"},
      {"10_training_mechanics", "schedule"}, {"10_training_mechanics", "cross_entropy"}};
  for (const auto& [chapter, task] : tasks) {
    const Json exercise = Json::read(std::string(QLORA_SOURCE_DIR "/chapters/") + chapter +
                                     "/exercise/exercise.json");
    EXPECT_TRUE(std::ranges::any_of(exercise.at("tasks").as_array(),
                                    [&](const Json& t) { return t.at("id").as_string() == task; }))
        << chapter << ": " << task;
  }
}

}  // namespace
}  // namespace qlora::chapter14

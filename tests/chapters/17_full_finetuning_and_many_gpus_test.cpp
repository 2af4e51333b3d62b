// Chapter 17's claims: they hold for the course's inputs, and follow other inputs. Full fine-tuning
// itself, on the embedded model.
#include "17_full_finetuning_and_many_gpus/claims.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "chapters/chapter_claims.h"
#include "llama/load.h"
#include "support/matcher.h"
#include "text/dataset.h"
#include "text/tokenizer.h"
#include "training/evaluation_loss.h"
#include "training/pretraining.h"
#include "training/trainer.h"

namespace qlora::chapter17 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"17_full_finetuning_and_many_gpus"};

TEST(Chapter17, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter17, MemoryFollowsTheModelAndTheBytesOfAParameter) {
  kClaims.expect_follow({"FF-02", "FF-04", "FF-06", "FF-07"},
                        [](CourseInputs& in) { in.sizes = kLlama32_1b; });
  kClaims.expect_follow({"FF-02", "FF-04", "FF-06", "FF-07"},
                        [](CourseInputs& in) { in.trained = {2, 4, 8}; });
  kClaims.expect_follow({"FF-04"}, [](CourseInputs& in) { in.other = kLlama31_8b; });
  kClaims.expect_follow({"FF-04"}, [](CourseInputs& in) { in.largest = 70'000'000'000; });
}

TEST(Chapter17, LiteMemoryFollowsTheAdaptersAndTheBase) {
  kClaims.expect_follow({"FF-02"}, [](CourseInputs& in) { in.rank = 64; });
  kClaims.expect_follow({"FF-02"}, [](CourseInputs& in) { in.other_bytes = 4; });
  kClaims.expect_follow({"FF-02"}, [](CourseInputs& in) { in.blocks.double_quant = false; });
}

TEST(Chapter17, CardsAreOnesOwn) {
  kClaims.expect_follow({"FF-06"}, [](CourseInputs& in) { in.consumer_card = 32e9; });
  kClaims.expect_follow({"FF-06"}, [](CourseInputs& in) { in.smaller_card = 12e9; });
  kClaims.expect_follow({"FF-07"}, [](CourseInputs& in) { in.data_center_card = 192e9; });
}

const std::string kModel = QLORA_TINY_LLAMA;

// Rows of the prices, as in the main job.
std::vector<TokenizedExample> price_rows(const Tokenizer& tokenizer, std::size_t count) {
  std::vector<Example> rows = read_dataset(kModel + "/../prices/validation.jsonl");
  rows.resize(count);
  return tokenize_dataset(rows, tokenizer, 128).examples;
}

// The first loss is the pre-trained model's own, every tensor of it moves, and the loss falls.
TEST(FullTuning, GoesOnFromThePretrainedWeights) {
  LlamaModel model = load_model(kModel);
  const Tokenizer tokenizer = Tokenizer::load(kModel);
  const auto rows = price_rows(tokenizer, 16);
  model.reserve_positions(positions_in(rows));
  Arena arena;
  const double before = evaluation_loss(model, rows, 16, tokenizer.padding(), arena);
  std::vector<Parameter> parameters = enable_full_training(model);
  std::vector<Tensor> pretrained;
  for (const Parameter& p : parameters) pretrained.push_back(p.value.clone());
  TrainingArguments arguments;
  arguments.learning_rate = 3e-4;
  arguments.per_device_train_batch_size = 16;
  arguments.max_steps = 8;
  TrainingTask task{model, parameters, rows, {}, tokenizer.padding(), arguments, "", {}};
  std::vector<double> losses;
  TrainingEvents events;
  events.on_step = [&](const StepReport& r) { losses.push_back(r.loss); };
  train(task, events);
  ASSERT_EQ(losses.size(), 8u);
  // Sums over the same labels in another order of rows: float32's rounding of some hundred terms.
  EXPECT_TRUE(testing::is_close(losses.front(), before, 0, 1e-5));
  EXPECT_LT(losses.back(), 0.8 * before);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_FALSE(testing::same_bytes(parameters[i].value, pretrained[i])) << parameters[i].name;
  }
}

// What the experiment `forgetting` measures: text that was held out of pre-training, of which the
// model knows about as much as of all that was held out (the card says 2.274).
TEST(HeldOutText, IsAsWellKnownAsTheModelCardSays) {
  LlamaModel model = load_model(kModel);
  const Tokenizer tokenizer = Tokenizer::load(kModel);
  std::vector<std::string> documents;
  for (const Example& row : read_dataset(kModel + "/held_out.jsonl")) {
    documents.push_back(row.completion);
  }
  ASSERT_GT(documents.size(), 100u);
  const auto blocks = blocks_of(documents, tokenizer, 128);
  model.reserve_positions(128);
  Arena arena;
  double sum = 0, squares = 0;
  for (const RowLoss& block : row_losses(model, blocks, 16, tokenizer.padding(), arena)) {
    const double loss = block.sum / static_cast<double>(block.tokens);
    sum += loss;
    squares += loss * loss;
  }
  const auto n = static_cast<double>(blocks.size());
  const double loss = sum / n, deviation = std::sqrt((squares - n * loss * loss) / (n - 1));
  const double card = Json::read(kModel + "/pretraining.json").at("held_out_loss").as_number();
  // A part of the same documents: four standard errors of the mean over its blocks.
  EXPECT_TRUE(testing::is_close(loss, card, 4 * deviation / std::sqrt(n)));
  EXPECT_LT(4 * deviation / std::sqrt(n), 0.3) << "too few blocks to tell";
}

}  // namespace
}  // namespace qlora::chapter17

#include "text/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "support/golden.h"

namespace qlora {
namespace {

using Ids = std::vector<std::int32_t>;

Ids values(const Tensor& t) {
  const auto span = t.span<std::int32_t>();
  return {span.begin(), span.end()};
}

const std::vector<TokenizedExample> kExamples = {
    {{1, 5, 6, 2}, {-100, -100, 6, 2}}, {{1, 7}, {1, 7}}, {{1, 8, 9, 10, 2}, {-100, 8, 9, 10, 2}}};

TEST(Collate, PadsOnTheRight) {
  const std::vector<std::int64_t> rows = {1, 0};
  const Batch batch = collate(kExamples, rows, 99);
  EXPECT_EQ(batch.input_ids.shape(), (Shape{2, 4}));
  EXPECT_EQ(values(batch.input_ids), (Ids{1, 7, 99, 99, 1, 5, 6, 2}));
  EXPECT_EQ(values(batch.attention_mask), (Ids{1, 1, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(values(batch.labels), (Ids{1, 7, -100, -100, -100, -100, 6, 2}));
  EXPECT_EQ(batch.tokens, 6);
  // Row 1's label at position 0 is never predicted.
  EXPECT_EQ(batch.supervised, 1 + 2);
}

TEST(Collate, APadTokenThatIsEosDoesNotMaskTheRealEos) {
  const std::vector<std::int64_t> rows = {0, 2};
  const Batch batch = collate(kExamples, rows, 2);
  EXPECT_EQ(values(batch.labels)[3], 2);
  EXPECT_EQ(values(batch.labels)[4], -100);
}

TEST(Collate, RefusesRowsThatAreNotThere) {
  EXPECT_THROW(collate(kExamples, {}, 0), std::invalid_argument);
  EXPECT_THROW(collate(kExamples, std::vector<std::int64_t>{3}, 0), std::invalid_argument);
  EXPECT_THROW(collate(kExamples, std::vector<std::int64_t>{-1}, 0), std::invalid_argument);
}

TEST(EpochOrder, IsAPermutationOfSeedAndEpoch) {
  auto order = epoch_order(101, 3, 0);
  EXPECT_EQ(epoch_order(101, 3, 0), order);
  EXPECT_NE(epoch_order(101, 3, 1), order);
  EXPECT_NE(epoch_order(101, 4, 0), order);
  std::ranges::sort(order);
  for (std::int64_t i = 0; i < 101; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(epoch_order(0, 3, 0).empty());
}

TEST(LengthGroupedOrder, SortsWithinPiecesAndBeginsWithTheLongest) {
  std::vector<std::int64_t> lengths(1003);
  for (std::size_t i = 0; i < 1003; ++i) lengths[i] = static_cast<std::int64_t>(1 + i * 37 % 211);
  const auto order = length_grouped_order(lengths, 4, 1, 0);
  const auto plain = epoch_order(1003, 1, 0);
  const auto length_at = [&](std::size_t i) { return lengths[static_cast<std::size_t>(order[i])]; };
  EXPECT_EQ(length_at(0), 211);
  // The longest changed places with the first of its piece: all but those two lie in their pieces
  // of 50 batches of 4, longest first.
  std::int64_t rises = 0;
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (i % 200 != 0 && length_at(i) > length_at(i - 1)) ++rises;
  }
  EXPECT_LE(rises, 1);
  auto sorted = order;
  std::ranges::sort(sorted);
  auto expected = plain;
  std::ranges::sort(expected);
  EXPECT_EQ(sorted, expected);
  EXPECT_TRUE(length_grouped_order({}, 4, 1, 0).empty());
  EXPECT_THROW(length_grouped_order(lengths, 0, 1, 0), std::invalid_argument);
}

TEST(ReadIds, ReadsAllThree) {
  std::ofstream(testing::scratch() / "ids.json")
      << R"({"input_ids": [[1, 2, 3], [4, 0, 0]], "attention_mask": [[1, 1, 1], [1, 0, 0]],
             "labels": [[-100, 2, 3], [4, -100, -100]]})";
  const Batch batch = read_ids((testing::scratch() / "ids.json").string(), 5);
  EXPECT_EQ(batch.input_ids.shape(), (Shape{2, 3}));
  EXPECT_EQ(values(batch.input_ids), (Ids{1, 2, 3, 4, 0, 0}));
  EXPECT_EQ(values(batch.attention_mask), (Ids{1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(values(batch.labels), (Ids{-100, 2, 3, 4, -100, -100}));
  EXPECT_EQ(batch.tokens, 4);
  EXPECT_EQ(batch.supervised, 2);
  EXPECT_THROW(read_ids((testing::scratch() / "none.json").string(), 5), BadInput);
}

TEST(ReadIds, PositionIdsSayThatRowsArePacked) {
  const Batch batch = parse_ids(
      R"({"input_ids": [[1, 2, 3], [4, 1, 1]], "position_ids": [[0, 1, 0], [0, 1, 2]]})", 5, "f");
  EXPECT_EQ(values(batch.position_ids), (Ids{0, 1, 0, 0, 1, 2}));
  EXPECT_EQ(values(segments_of(batch)), (Ids{1, 1, 2, 1, 1, 1}));
}

TEST(ReadIds, MaskAndLabelsAreOptional) {
  const Batch batch = parse_ids(R"({"input_ids": [[1, 2]]})", 5, "f");
  EXPECT_EQ(values(batch.attention_mask), (Ids{1, 1}));
  EXPECT_FALSE(batch.labels);
  EXPECT_FALSE(batch.position_ids);
  EXPECT_EQ(batch.supervised, 0);
}

TEST(ReadIds, AnythingElseIsBadInput) {
  const struct {
    const char* text;
    const char* problem;
  } rows[] = {
      {"[]", "f: not an object"},
      {"{}", "input_ids"},
      {R"({"input_ids": 3})", "f: input_ids: not a list of rows"},
      {R"({"input_ids": []})", "f: input_ids: not a list of rows"},
      {R"({"input_ids": [[]]})", "f: input_ids: not a list of rows"},
      {R"({"input_ids": [[1], 2]})", "f: input_ids[1]: not a list, expected 1"},
      {R"({"input_ids": [[1, 2], [3]]})", "f: input_ids[1]: 1 values, expected 2"},
      {R"({"input_ids": [[1, 5]]})", "f: input_ids[0][1]: 5, expected an id in 0 … 4"},
      {R"({"input_ids": [[1, -1]]})", "f: input_ids[0][1]: -1"},
      {R"({"input_ids": [[1, 2.0]]})", "f: input_ids[0][1]: 2.0"},
      {R"({"input_ids": [[1, 4294967297]]})", "f: input_ids[0][1]: 4294967297"},
      {R"({"input_ids": [[1, "2"]]})", "f: input_ids[0][1]: \"2\""},
      {R"({"input_ids": [[1, null]]})", "f: input_ids[0][1]: null"},
      {R"({"input_ids": [[1]], "attention_mask": [[2]]})",
       "f: attention_mask[0][0]: 2, expected 0 or 1"},
      {R"({"input_ids": [[1]], "attention_mask": [[1, 1]]})", "f: attention_mask[0]: 2 values"},
      {R"({"input_ids": [[1]], "attention_mask": [[1], [1]]})",
       "f: attention_mask: expected 1 rows"},
      {R"({"input_ids": [[1, 1]], "position_ids": [[1, 2]]})",
       "f: position_ids[0][0]: 1, expected 0 or one more"},
      {R"({"input_ids": [[1, 1]], "position_ids": [[0, 2]]})", "f: position_ids[0][1]: 2"},
      {R"({"input_ids": [[1], [1]], "position_ids": [[0], [1]]})", "f: position_ids[1][0]: 1"},
      {R"({"input_ids": [[1]], "position_ids": [[-1]]})", "f: position_ids[0][0]: -1"},
      {R"({"input_ids": [[1]], "labels": [[-1]]})", "f: labels[0][0]: -1"},
      {R"({"input_ids": [[1]], "labels": [[5]]})", "f: labels[0][0]: 5"},
      {R"({"input_ids": [[1]], "labels": 7})", "f: labels: expected 1 rows"},
      {R"({"input_ids": [[1]])", "f"}};
  for (const auto& row : rows) {
    try {
      parse_ids(row.text, 5, "f");
      ADD_FAILURE() << "accepted " << row.text;
    } catch (const BadInput& e) {
      EXPECT_NE(std::string(e.what()).find(row.problem), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace qlora

#include "text/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "text/embedded_tokenizer.h"

namespace qlora {
namespace {

using Type = SentencePieceModel::Type;

// Writes protocol buffers.
std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string number(int field, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(value);
}
std::string bytes(int field, const std::string& value) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(value.size()) + value;
}
std::string score(float value) {
  std::string out = varint(2 << 3 | 5) + "1234";
  std::memcpy(out.data() + 1, &value, sizeof value);
  return out;
}
std::string piece_of(const std::string& text, std::uint64_t type, float s) {
  return bytes(1, bytes(1, text) + score(s) + number(3, type));
}
std::string piece(const std::string& text, Type type = Type::normal, float s = -1.0f) {
  return piece_of(text, static_cast<std::uint64_t>(type), s);
}

const std::string kBpe = bytes(2, number(3, 2));
const std::string kSpecial =
    piece("<unk>", Type::unknown) + piece("<s>", Type::control) + piece("</s>", Type::control);

SentencePieceModel parse(const std::string& model) {
  return SentencePieceModel::parse(model, "m");
}

std::string problem_of(const std::string& model) {
  try {
    parse(model);
  } catch (const BadInput& e) {
    return e.what();
  }
  return "";
}

#define EXPECT_PROBLEM(model, text) \
  EXPECT_NE(problem_of(model).find(text), std::string::npos) << problem_of(model)

TEST(SentencePieceModel, ReadsWhatItIsGiven) {
  const SentencePieceModel m =
      parse(kSpecial + piece("ab", Type::normal, -2.5f) + kBpe +
            bytes(3, bytes(1, "identity") + number(3, 0) + number(4, 0) + number(5, 1)));
  ASSERT_EQ(m.pieces.size(), 4u);
  EXPECT_EQ(m.pieces[3].text, "ab");
  EXPECT_EQ(m.pieces[3].score, -2.5f);
  EXPECT_EQ(m.unk, 0);
  EXPECT_EQ(m.bos, 1);
  EXPECT_EQ(m.eos, 2);
  EXPECT_FALSE(m.add_dummy_prefix);
  EXPECT_FALSE(m.remove_extra_whitespaces);
  EXPECT_FALSE(m.byte_fallback);
}

TEST(SentencePieceModel, DefaultsAreTheProtos) {
  const SentencePieceModel m = parse(kSpecial + kBpe);
  EXPECT_TRUE(m.add_dummy_prefix);
  EXPECT_TRUE(m.remove_extra_whitespaces);
  EXPECT_EQ(m.unk_surface, " \xE2\x81\x87 ");
}

TEST(SentencePieceModel, NamesOfControlPieces) {
  const SentencePieceModel m = parse(piece("<unk>", Type::unknown) + piece("[B]", Type::control) +
                                     piece("<s>") + bytes(2, number(3, 2) + bytes(46, "[B]")));
  EXPECT_EQ(m.bos, 1);
  EXPECT_EQ(m.eos, std::nullopt);
}

TEST(SentencePieceModel, RefusesByName) {
  EXPECT_PROBLEM("", "without pieces");
  EXPECT_PROBLEM(kSpecial, "model_type: 1 (unigram");
  EXPECT_PROBLEM(kSpecial + bytes(2, number(3, 4)), "model_type: 4");
  EXPECT_PROBLEM(piece("a") + kBpe, "no unknown piece");
  EXPECT_PROBLEM(kSpecial + piece("u", Type::unknown) + kBpe, "piece 3: a second unknown piece");
  EXPECT_PROBLEM(kSpecial + piece("a") + piece("a") + kBpe, "piece 4: stands twice");
  EXPECT_PROBLEM(kSpecial + piece("") + kBpe, "a piece without text");
  EXPECT_PROBLEM(kSpecial + piece("\xFF") + kBpe, "not UTF-8");
  EXPECT_PROBLEM(kSpecial + piece(std::string("a\0", 2)) + kBpe, "zero byte");
  EXPECT_PROBLEM(kSpecial + piece_of("a", 7, -1.0f) + kBpe, "unknown type");
  EXPECT_PROBLEM(kSpecial + kBpe + bytes(3, bytes(2, "table")), "normalization table");
  EXPECT_PROBLEM(kSpecial + kBpe + bytes(5, bytes(2, "table")), "normalization table");
  EXPECT_PROBLEM(kSpecial + kBpe + bytes(3, number(5, 0)), "escape_whitespaces");
  EXPECT_PROBLEM(kSpecial + bytes(2, number(3, 2) + number(24, 1)), "treat_whitespace_as_suffix");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_PROBLEM(kSpecial + piece("a", Type::normal, nan) + kBpe, "not finite");
  EXPECT_PROBLEM(kSpecial + piece("a", Type::normal, 1.0f / 0.0f) + kBpe, "not finite");
}

TEST(SentencePieceModel, ByteFallbackNeedsAll256) {
  std::string all;
  constexpr const char* kHex = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) {
    all += piece(std::string("<0x") + kHex[b / 16] + kHex[b % 16] + ">", Type::byte);
  }
  const std::string fallback = bytes(2, number(3, 2) + number(35, 1));
  EXPECT_TRUE(parse(kSpecial + all + fallback).byte_fallback);
  EXPECT_PROBLEM(kSpecial + fallback, "true with 0 byte pieces");
  EXPECT_PROBLEM(kSpecial + piece("<0x41>", Type::byte) + fallback, "true with 1 byte pieces");
  EXPECT_PROBLEM(kSpecial + all + kBpe, "false with 256 byte pieces");
  EXPECT_PROBLEM(kSpecial + piece("<0xag>", Type::byte) + fallback, "piece 3: a byte piece");
  EXPECT_PROBLEM(kSpecial + piece("x", Type::byte) + fallback, "piece 3: a byte piece");
}

TEST(SentencePieceModel, LengthsAndNumbersAreChecked) {
  EXPECT_PROBLEM("garbage", "not a SentencePiece model");
  EXPECT_PROBLEM(varint(1 << 3 | 2) + varint(5) + "abc",
                 "byte 2: not a SentencePiece model: a field reaches");
  EXPECT_PROBLEM(varint(1 << 3 | 2) + varint(~std::uint64_t{0}), "reaches beyond");
  EXPECT_PROBLEM(varint(1 << 3 | 2) + std::string(11, '\xFF'), "more than 64 bits");
  EXPECT_PROBLEM(std::string("\x0A\x80"), "ends within a number");
  EXPECT_PROBLEM(std::string("\x0B"), "a kind that SentencePiece does not use");
  EXPECT_PROBLEM(std::string("\x02\x00", 2), "field number");
  EXPECT_PROBLEM(number(1, 3), "a field of another kind");
  EXPECT_PROBLEM(bytes(2, bytes(3, "2")), "a field of another kind");
}

TEST(SentencePieceModel, DamagedFilesNeverDoMoreThanThrow) {
  const std::string model = read_file(testing::kTinyLlama + "/tokenizer.model");
  std::uint64_t draw = 0;
  const auto below = [&draw](std::size_t bound) {
    return Random{3}.below(draw++, static_cast<std::uint32_t>(bound));
  };
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string damaged = model;
    // Every third file is also cut short.
    if (round % 3 == 0) damaged.resize(1 + below(model.size()));
    for (int change = 0; change < 4; ++change) {
      const std::uint32_t place = below(damaged.size());
      damaged[place] = static_cast<char>(below(256));
    }
    try {
      const Tokenizer t = Tokenizer::from_bytes(damaged, "m");
      t.decode(t.encode("The price of 2 kettles \xF0\x9F\x98\x80"));
    } catch (const BadInput&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);  // those that are cut, at least
}

}  // namespace
}  // namespace qlora

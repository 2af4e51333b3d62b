#include "text/sentencepiece_model.h"

#include <bitset>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "core/error.h"
#include "text/utf8.h"

namespace qlora {
namespace {

// Protocol buffer wire types.
enum class Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  std::uint32_t number = 0;
  Wire wire = Wire::varint;
  std::uint64_t value = 0;  // of a varint
  std::string_view bytes;   // of the others
  std::string place;

  [[noreturn]] void fail(const std::string& file, std::string_view problem) const {
    throw BadInput(file, place, problem);
  }
};

// Walks over the fields of one message.
class Message {
 public:
  Message(std::string_view bytes, std::size_t offset, const std::string& file)
      : bytes_(bytes), offset_(offset), file_(file) {}

  bool next(Field& field) {
    if (at_ == bytes_.size()) return false;
    field.place = place();
    const std::uint64_t key = varint();
    if (key >> 3 == 0 || key >> 3 > 0x1FFFFFFFu) fail("a field number outside 1 … 2^29-1");
    field.number = static_cast<std::uint32_t>(key >> 3);
    switch (key & 7) {
      case 0:
        field.wire = Wire::varint;
        field.value = varint();
        break;
      case 1:
        field.wire = Wire::fixed64;
        field.bytes = take(8);
        break;
      case 2:
        field.wire = Wire::bytes;
        field.bytes = take(varint());
        break;
      case 5:
        field.wire = Wire::fixed32;
        field.bytes = take(4);
        break;
      default:
        fail("a field of a kind that SentencePiece does not use");
    }
    return true;
  }

  // A message inside this one; its places count from the start of the file.
  Message inside(std::string_view bytes) const {
    const auto start = static_cast<std::size_t>(bytes.data() - bytes_.data());
    return {bytes, offset_ + start, file_};
  }

 private:
  std::string place() const { return "byte " + std::to_string(offset_ + at_); }
  [[noreturn]] void fail(std::string_view problem) const {
    throw BadInput(file_, place(), "not a SentencePiece model: " + std::string(problem));
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) fail("it ends within a number");
      const auto byte = static_cast<std::uint8_t>(bytes_[at_++]);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    fail("a number of more than 64 bits");
  }
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) fail("a field reaches beyond its end");
    const std::string_view taken = bytes_.substr(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size);
    return taken;
  }

  std::string_view bytes_;
  std::size_t offset_;
  const std::string& file_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  SentencePieceModel read(std::string_view file) {
    Message message(file, 0, file_);
    for (Field f; message.next(f);) {
      switch (f.number) {
        case 1:
          read_piece(f, message.inside(bytes(f)));
          break;
        case 2:
          read_trainer(message.inside(bytes(f)));
          break;
        case 3:
          read_normalizer(message.inside(bytes(f)));
          break;
        case 5:
          read_denormalizer(message.inside(bytes(f)));
          break;
        default:
          break;  // self-test data, extensions
      }
    }
    check();
    return std::move(model_);
  }

 private:
  void expect(const Field& f, Wire wire) const {
    if (f.wire != wire) f.fail(file_, "not a SentencePiece model: a field of another kind");
  }
  std::uint64_t number(const Field& f) const {
    expect(f, Wire::varint);
    return f.value;
  }
  std::string_view bytes(const Field& f) const {
    expect(f, Wire::bytes);
    return f.bytes;
  }
  bool flag(const Field& f) const { return number(f) != 0; }
  std::string text(const Field& f) const {
    std::string s(bytes(f));
    if (!is_utf8(s)) f.fail(file_, "text that is not UTF-8");
    return s;
  }

  void read_piece(const Field& outer, Message message) {
    SentencePieceModel::Piece piece;
    for (Field f; message.next(f);) {
      if (f.number == 1) piece.text = text(f);
      if (f.number == 2) {
        expect(f, Wire::fixed32);
        std::memcpy(&piece.score, f.bytes.data(), sizeof(float));
        if (!std::isfinite(piece.score)) f.fail(file_, "a score that is not finite");
      }
      if (f.number == 3) {
        const std::uint64_t type = number(f);
        if (type < 1 || type > 6) f.fail(file_, "a piece of an unknown type, expected 1 … 6");
        piece.type = static_cast<SentencePieceModel::Type>(type);
      }
    }
    if (piece.text.empty()) outer.fail(file_, "a piece without text");
    if (piece.text.find('\0') != std::string::npos) outer.fail(file_, "a piece with a zero byte");
    model_.pieces.push_back(std::move(piece));
  }

  void read_trainer(Message message) {
    for (Field f; message.next(f);) {
      switch (f.number) {
        case 3:
          model_type_ = number(f);
          break;
        case 24:
          if (flag(f)) f.fail(file_, "treat_whitespace_as_suffix is not supported");
          break;
        case 35:
          model_.byte_fallback = flag(f);
          break;
        case 44:
          model_.unk_surface = text(f);
          break;
        case 46:
          bos_ = text(f);
          break;
        case 47:
          eos_ = text(f);
          break;
        case 48:
          pad_ = text(f);
          break;
        default:
          break;
      }
    }
  }

  void refuse_table(const Field& f) const {
    if (!bytes(f).empty()) {
      f.fail(file_,
             "a model with a normalization table (such as nmt_nfkc) is not supported; "
             "supported is BPE with the normalizer \"identity\", as in Llama 2");
    }
  }
  void read_normalizer(Message message) {
    for (Field f; message.next(f);) {
      switch (f.number) {
        case 2:
          refuse_table(f);
          break;
        case 3:
          model_.add_dummy_prefix = flag(f);
          break;
        case 4:
          model_.remove_extra_whitespaces = flag(f);
          break;
        case 5:
          if (!flag(f)) f.fail(file_, "escape_whitespaces = false is not supported");
          break;
        default:
          break;
      }
    }
  }
  void read_denormalizer(Message message) const {
    for (Field f; message.next(f);) {
      if (f.number == 2) refuse_table(f);
    }
  }

  [[noreturn]] void fail_piece(std::size_t id, std::string_view problem) const {
    throw BadInput(file_, "piece " + std::to_string(id), problem);
  }

  // What no single field can say.
  void check() {
    using Type = SentencePieceModel::Type;
    if (model_.pieces.empty()) throw BadInput(file_, "", "a SentencePiece model without pieces");
    if (model_type_ != 2) {
      throw BadInput(file_, "trainer_spec.model_type",
                     std::to_string(model_type_) +
                         " (unigram, word or char), supported is 2 (BPE), as in Llama 2");
    }
    std::unordered_set<std::string_view> seen;
    std::bitset<256> bytes;
    for (std::size_t id = 0; id < model_.pieces.size(); ++id) {
      const auto& piece = model_.pieces[id];
      if (!seen.insert(piece.text).second) fail_piece(id, "stands twice in the vocabulary");
      const auto number = static_cast<std::int32_t>(id);
      if (piece.type == Type::unknown) {
        if (model_.unk) fail_piece(id, "a second unknown piece");
        model_.unk = number;
      }
      if (piece.type == Type::control) {
        if (piece.text == bos_) model_.bos = number;
        if (piece.text == eos_) model_.eos = number;
        if (piece.text == pad_) model_.pad = number;
      }
      if (piece.type == Type::byte) bytes.set(byte_of(id));
    }
    if (!model_.unk) throw BadInput(file_, "", "no unknown piece");
    if (model_.byte_fallback != bytes.any() || (bytes.any() && !bytes.all())) {
      throw BadInput(file_, "trainer_spec.byte_fallback",
                     std::string(model_.byte_fallback ? "true" : "false") + " with " +
                         std::to_string(bytes.count()) + " byte pieces, expected all 256 or none");
    }
  }

  // "<0x0A>" is 10.
  std::size_t byte_of(std::size_t id) const {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    const std::string& s = model_.pieces[id].text;
    if (s.size() == 6 && s.starts_with("<0x") && s[5] == '>') {
      const std::size_t high = kDigits.find(s[3]);
      const std::size_t low = kDigits.find(s[4]);
      if (high < 16 && low < 16) return high * 16 + low;
    }
    fail_piece(id, "a byte piece must read <0x00> … <0xFF>");
  }

  const std::string& file_;
  SentencePieceModel model_;
  std::uint64_t model_type_ = 1;  // the proto's default: unigram
  std::string bos_ = "<s>";
  std::string eos_ = "</s>";
  std::string pad_ = "<pad>";
};

}  // namespace

SentencePieceModel SentencePieceModel::parse(std::string_view bytes, const std::string& file) {
  return Reader(file).read(bytes);
}

}  // namespace qlora

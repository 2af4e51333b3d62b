// The model file of SentencePiece, read and checked before the library sees it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qlora {

/// What sentencepiece_model.proto says, as far as encoding and decoding need it.
struct SentencePieceModel {
  enum class Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score = 0.0f;
    Type type = Type::normal;
  };
  std::vector<Piece> pieces;  ///< an id is an index
  bool byte_fallback = false;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  std::string unk_surface = " \xE2\x81\x87 ";
  std::optional<std::int32_t> unk, bos, eos, pad;

  /// Parses the protocol buffer (google/sentencepiece, src/sentencepiece_model.proto).
  ///
  /// The library takes a model on trust: a damaged normalization table is walked out of bounds, an
  /// id is checked by abort(). What passes here cannot do that: BPE only, no normalization table,
  /// pieces that are distinct, not empty and UTF-8, finite scores, one unknown piece, and with byte
  /// fallback the 256 bytes.
  /// @throws BadInput naming `file` and the piece or the offset
  static SentencePieceModel parse(std::string_view bytes, const std::string& file);
};

}  // namespace qlora

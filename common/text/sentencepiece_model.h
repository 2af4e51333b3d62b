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
  /// Kinds of pieces, with their numbers in the file.
  enum class Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  /// One entry of the vocabulary.
  struct Piece {
    std::string text;          ///< UTF-8; a space is U+2581, byte 10 is "<0x0A>"
    float score = 0.0f;        ///< of BPE: minus the number of the merge
    Type type = Type::normal;  ///< how encoding and decoding treat it
  };
  std::vector<Piece> pieces;                   ///< an id is an index
  bool byte_fallback = false;                  ///< unknown characters become their bytes' pieces
  bool add_dummy_prefix = true;                ///< a text begins as if a space stood before it
  bool remove_extra_whitespaces = true;        ///< spaces are joined, and cut at both ends
  std::string unk_surface = " \xE2\x81\x87 ";  ///< what the unknown piece decodes to: U+2047

  /// The special pieces' ids; none: the model has no such piece.
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

// A Markdown document as the checks see it: its fenced blocks, and the text around them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qlora::testing {

/// The lines of a text, without their ends.
std::vector<std::string> lines_of(std::string_view text);

/// Whether `text` begins with `with`.
bool begins_with(std::string_view text, std::string_view with);

/// A fenced block.
struct Block {
  std::size_t line = 0;            ///< of its opening fence in the document, from 1
  std::string info;                ///< what follows the fence: "cpp", "text band"
  std::string indent;              ///< before the fence, and before each of its lines
  std::vector<std::string> lines;  ///< without the indent

  /// Whether `word` is one of the words of the info string.
  bool is(std::string_view word) const;
};

/// All fenced blocks in order. A fence that is not closed goes to the end.
std::vector<Block> blocks_of(const std::string& text);

/// The document with other lines in some of its blocks. @pre blocks are those of blocks_of(text)
std::string with_blocks(const std::string& text, const std::vector<Block>& blocks);

/// Something that stands in the text outside of the fenced blocks.
struct Mention {
  std::size_t line = 0;
  std::string text;
};

/// The contents of the spans in backticks; a span may go on in the next line.
std::vector<Mention> code_spans(const std::string& text);

/// The targets of the links and figures, "[…](target)".
std::vector<Mention> link_targets(const std::string& text);

/// The lines of a source between the comments "// [marker]" and "// [/marker]" (or "# [marker]"),
/// without the comments of other markers. @throws BadInput if the marker is not there, twice there,
/// or not closed
std::vector<std::string> marked_lines(const std::string& source, const std::string& marker,
                                      const std::string& file);

}  // namespace qlora::testing

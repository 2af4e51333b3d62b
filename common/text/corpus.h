// The recipe of the pre-training text: files of Debian packages, cleaned, and product descriptions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qlora {

/// Where the text comes from; the defaults are the places of the Debian packages.
struct CorpusSources {
  /// Folder with data.adj, data.adv, data.noun and data.verb (package wordnet-base, WordNet 3.0).
  std::string wordnet = "/usr/share/wordnet";
  /// Text of the King James Bible, "Ge1:1 In the beginning …" a line. Empty: what the program of
  /// package bible-kjv prints (`bible -f gen1:1-rev22:21`; its data file is compressed in a form
  /// of its own).
  std::string bible;
  std::int64_t product_descriptions = 60000;
  std::uint64_t seed = 20240700;  ///< of the descriptions and of the order of the documents
};

/// One source of a corpus, for the model card.
struct CorpusPart {
  std::string name;            ///< e.g. "King James Bible"
  std::int64_t documents = 0;  ///< that the corpus has of it
  std::int64_t bytes = 0;      ///< of their text
};

/// Documents of at most about 1,200 bytes, in random order; no document is empty.
struct Corpus {
  std::vector<std::string> documents;  ///< of all sources, mixed
  std::vector<CorpusPart> parts;       ///< where they come from
};

/// Builds the text: equal files and options give equal bytes.
/// @throws BadInput naming the file that is missing or not what it should be
Corpus build_corpus(const CorpusSources& sources = {});

/// The entries of one WordNet data file as sentences: "Kettle, boiler: a metal pot for stewing or
/// boiling." and the examples. Left out are entries marked as slurs, offensive or obscene, and
/// those of animals and plants (lexicographer files 05 and 20), which are mostly Latin names.
std::vector<std::string> wordnet_documents(std::string_view data);

/// Verses joined into paragraphs that end with a chapter or near 1,000 bytes.
/// @throws BadInput naming `file` and the line that is no verse
std::vector<std::string> bible_documents(std::string_view text, const std::string& file);

}  // namespace qlora

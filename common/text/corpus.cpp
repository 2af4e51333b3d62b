#include "text/corpus.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <memory>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "text/product_text.h"
#include "text/utf8.h"

namespace qlora {
namespace {

constexpr std::uint64_t kOrderStream = 21;
constexpr std::size_t kParagraph = 1000;

// Calls f(line) for every line of a text.
template <typename F>
void for_each_line(std::string_view text, F&& f) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    f(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

std::string_view trimmed(std::string_view s) {
  constexpr std::string_view kAround = " \t\r;:,\"";
  const std::size_t begin = s.find_first_not_of(kAround);
  if (begin == std::string_view::npos) return "";
  return s.substr(begin, s.find_last_not_of(kAround) - begin + 1);
}

// A sentence: capital at the start, a full stop at the end where it has no mark of its own.
std::string sentence(std::string_view text) {
  std::string s(trimmed(text));
  if (s.empty()) return s;
  s[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(s[0])));
  if (std::string_view(".!?").find(s.back()) == std::string_view::npos) s += '.';
  return s;
}

// The words of "offset file type count word id word id … | gloss": count is hexadecimal.
std::string words_of(std::string_view head) {
  std::vector<std::string_view> fields;
  while (!head.empty()) {
    const std::size_t end = head.find(' ');
    if (end != 0) fields.push_back(head.substr(0, end));
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 1);
  }
  std::string words;
  if (fields.size() < 6) return words;
  std::size_t count = 0;
  for (const char c : fields[3]) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0 || count > 0xFF) return words;
    count = count * 16 + static_cast<std::size_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  for (std::size_t i = 0; i < count && 4 + 2 * i < fields.size(); ++i) {
    std::string_view word = fields[4 + 2 * i];
    word = word.substr(0, word.find('('));  // an adjective's syntactic marker: "(a)", "(p)", "(ip)"
    if (!words.empty()) words += ", ";
    for (const char c : word) words += c == '_' ? ' ' : c;
  }
  return words;
}

// Lexicographer files 05 and 20 are animals and plants: mostly Latin names, which a small
// vocabulary would spell letter by letter.
bool is_latin(std::string_view head) {
  const std::string_view file = head.substr(std::min<std::size_t>(head.find(' '), head.size()), 3);
  return file == " 05" || file == " 20";
}

bool is_unwanted(std::string_view gloss) {
  for (const char* mark : {"slur", "offensive", "obscene", "disparag", "derogat", "vulgar"}) {
    if (gloss.find(mark) != std::string_view::npos) return true;
  }
  return false;
}

// "definition; more; "an example"; "another""
std::string gloss_text(std::string_view gloss) {
  std::string text = sentence(gloss.substr(0, gloss.find('"')));
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  for (std::size_t open = gloss.find('"'); open != std::string_view::npos;
       open = gloss.find('"', open)) {
    const std::size_t close = gloss.find('"', open + 1);
    if (close == std::string_view::npos) break;
    const std::string example = sentence(gloss.substr(open + 1, close - open - 1));
    if (!example.empty()) text.append(text.empty() ? "" : " ").append(example);
    open = close + 1;
  }
  return text;
}

std::string printed_bible() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(
      ::popen("bible -f gen1:1-rev22:21 2>/dev/null", "r"), ::pclose);
  std::string text;
  char buffer[1 << 14];
  for (std::size_t n; pipe && (n = std::fread(buffer, 1, sizeof buffer, pipe.get())) > 0;) {
    text.append(buffer, n);
  }
  if (text.empty()) {
    throw BadInput("bible", "",
                   "the program of package bible-kjv prints nothing; is it installed?");
  }
  return text;
}

void add(Corpus& corpus, const std::string& name, std::vector<std::string> documents) {
  CorpusPart part{name, static_cast<std::int64_t>(documents.size()), 0};
  for (std::string& document : documents) {
    part.bytes += static_cast<std::int64_t>(document.size());
    corpus.documents.push_back(std::move(document));
  }
  corpus.parts.push_back(part);
}

}  // namespace

std::vector<std::string> wordnet_documents(std::string_view data) {
  std::vector<std::string> documents;
  for_each_line(data, [&](std::string_view line) {
    const std::size_t bar = line.find(" | ");
    if (line.starts_with(' ') || bar == std::string_view::npos) return;  // the licence at the top
    const std::string_view gloss = line.substr(bar + 3);
    if (is_latin(line.substr(0, bar)) || is_unwanted(gloss) || !is_utf8(line)) return;
    std::string words = words_of(line.substr(0, bar));
    const std::string text = gloss_text(gloss);
    if (words.empty() || text.empty()) return;
    words[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(words[0])));
    documents.push_back(words.append(": ").append(text));
  });
  return documents;
}

std::vector<std::string> bible_documents(std::string_view text, const std::string& file) {
  std::vector<std::string> documents;
  std::string_view chapter;
  std::int64_t number = 0;
  for_each_line(text, [&](std::string_view line) {
    ++number;
    const std::size_t colon = line.find(':');
    const std::size_t space = line.find(' ');
    if (colon == std::string_view::npos || space == std::string_view::npos || colon > space) {
      throw BadInput(file, "line " + std::to_string(number), "no verse, expected \"Ge1:1 text\"");
    }
    const bool starts = line.substr(0, colon) != chapter || documents.empty() ||
                        documents.back().size() + line.size() > kParagraph;
    chapter = line.substr(0, colon);
    if (starts) documents.emplace_back();
    documents.back().append(documents.back().empty() ? "" : " ").append(line.substr(space + 1));
  });
  return documents;
}

Corpus build_corpus(const CorpusSources& sources) {
  Corpus corpus;
  for (const char* part : {"adj", "adv", "noun", "verb"}) {
    const std::string path = sources.wordnet + "/data." + part;
    auto documents = wordnet_documents(read_file(path));
    if (documents.empty()) throw BadInput(path, "", "no entries, expected a WordNet data file");
    add(corpus, std::string("WordNet ") + part, std::move(documents));
  }
  const std::string bible = sources.bible.empty() ? printed_bible() : read_file(sources.bible);
  add(corpus, "King James Bible", bible_documents(bible, sources.bible));
  std::vector<std::string> products;
  products.reserve(static_cast<std::size_t>(sources.product_descriptions));
  for (std::int64_t i = 0; i < sources.product_descriptions; ++i) {
    products.push_back(product_description(sources.seed, i));
  }
  add(corpus, "product descriptions", std::move(products));

  const auto order = permutation(Random{sources.seed, stream_of(kOrderStream)},
                                 static_cast<std::int64_t>(corpus.documents.size()));
  std::vector<std::string> shuffled;
  shuffled.reserve(order.size());
  for (const std::int64_t i : order) {
    shuffled.push_back(std::move(corpus.documents[static_cast<std::size_t>(i)]));
  }
  corpus.documents = std::move(shuffled);
  return corpus;
}

}  // namespace qlora

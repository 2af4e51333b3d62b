#include "text/pre_tokenizer.h"

namespace qlora {

void PreTokenizer::split(std::string_view text,
                         const std::function<void(std::string_view)>& piece) const {
  Searches searches;
  searches.reserve(steps_.size());
  for (const Step& step : steps_) searches.emplace_back(step.regex);
  split(text, 0, searches, piece);
}

// tokenizers: PreTokenizedString::split with Pattern and SplitDelimiterBehavior
void PreTokenizer::split(std::string_view text, std::size_t step, Searches& searches,
                         const std::function<void(std::string_view)>& piece) const {
  if (text.empty()) return;
  if (step == steps_.size()) {
    piece(text);
    return;
  }
  std::string with_space;
  if (steps_[step].adds_space && text.front() != ' ') {
    with_space.append(1, ' ').append(text);
    text = with_space;
  }
  Regex::Search& search = searches[step];
  search.start(text);
  std::size_t done = 0;
  while (search.next()) {
    if (!steps_[step].drops_rest) {
      split(text.substr(done, search.begin() - done), step + 1, searches, piece);
    }
    if (!steps_[step].drops_matches) {
      split(text.substr(search.begin(), search.end() - search.begin()), step + 1, searches, piece);
    }
    done = search.end();
  }
  if (!steps_[step].drops_rest) split(text.substr(done), step + 1, searches, piece);
}

}  // namespace qlora

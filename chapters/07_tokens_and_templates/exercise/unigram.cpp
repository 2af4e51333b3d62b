// Task 4: a unigram tokenizer. What each function does stands in unigram.h.
#include "unigram.h"

#include "core/todo.h"

namespace qlora {

std::vector<std::int32_t> unigram_encode(const UnigramVocabulary& vocabulary,
                                         std::string_view text) {
  todo("unigram_encode", "chapter 07, task 4");
}

double unigram_log_likelihood(const UnigramVocabulary& vocabulary, std::string_view text) {
  todo("unigram_log_likelihood", "chapter 07, task 4");
}

}  // namespace qlora

// llama.cpp's vectors among the optional assets.
#pragma once

#include <gtest/gtest.h>

#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "core/files.h"
#include "support/golden.h"
#include "text/tokenizer.h"

namespace qlora::testing {

// Texts between lines "__ggml_vocab_test__" in `name`.inp, a line of ids for each in `name`.out.
inline void expect_llama_cpp_vectors(const Tokenizer& tokenizer, const std::string& name) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string path = assets() + "/tokenizers/vectors/" + name;
  std::string all = read_file(path + ".inp") + separator;
  std::istringstream expected(read_file(path + ".out"));
  int texts = 0;
  for (std::size_t end; (end = all.find(separator)) != std::string::npos; ++texts) {
    const std::string text = all.substr(0, end);
    all.erase(0, end + separator.size());
    std::string line;
    std::getline(expected, line);  // the last text is empty and has no line
    std::istringstream numbers(line);
    const std::vector<std::int32_t> ids{std::istream_iterator<std::int32_t>(numbers),
                                        std::istream_iterator<std::int32_t>()};
    EXPECT_EQ(tokenizer.encode(text, {.add_bos = false}), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
  EXPECT_EQ(texts, 47);
}

}  // namespace qlora::testing

// What the course says about tokens, embeddings and templates, and what its own inputs come to.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "course/ledger.h"

namespace qlora::chapter07 {

/// The course's inputs.
struct CourseInputs {
  std::int32_t byte_pair_tokens = 128000;  ///< of Llama 3's vocabulary; special tokens follow
  std::int64_t hidden = 3072;              ///< C, of Llama 3.2 3B
  std::int64_t and_index = 1;              ///< what the course calls index 1, and
  std::int64_t yes_index = 2;              ///< index 2
  std::string padding = "<|finetune_right_pad_id|>";  ///< whose id stands as padding_idx

  /// The stand-in on which the product with one-hot rows is computed: V and C.
  std::int64_t table_rows = 384, table_width = 64;

  /// The template of Llama 2 with the course's words in it, and the one it prints.
  std::string system = "System prompt", user = "User prompt", answer = "Model answer";
  std::string llama2_text =
      "<s>[INST] <<SYS>>\nSystem prompt\n<</SYS>>\n\nUser prompt [/INST] Model answer </s>";

  /// The conversation of the course's data, shortened; its marker is broken over a line there.
  std::string guanaco =
      "### Human: Can you write a short introduction about \"monopsony\"?###\nAssistant: It is a "
      "market with one buyer.### Human: Now explain it to a dog";
  std::int64_t guanaco_rows = 1000;  ///< rows that are rewritten

  /// The instruction format: a row, and its text as the course has it.
  std::string instruction = "{instruction}", response = "{response}";
  std::string instruction_format = "### Instruction:\n{instruction}\n\n### Response:\n{response}";
};

/// V numbers: 1 at the index, else 0.
std::vector<float> one_hot(std::int64_t index, std::int64_t V);

/// The largest difference between one-hot rows (T,V) times a table E (V,C), and the rows ids[t] of
/// E.
double product_minus_lookup(std::span<const std::int32_t> ids, std::span<const float> E,
                            std::int64_t C);

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter07

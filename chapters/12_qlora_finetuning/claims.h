// What the course says about its QLoRA configurations, and what its own inputs come to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "course/ledger.h"
#include "llama/shapes.h"
#include "lora/config.h"

namespace qlora::chapter12 {

/// A base that the course names, by the members of its config.json that sizes follow from.
struct CourseBase {
  std::string name;    ///< of the repository
  std::string config;  ///< JSON

  /// Its linear maps and its parameters.
  ModelShapes shapes() const;
};

/// One of the course's configurations.
struct Configuration {
  std::string name;   ///< of its file in configs/
  CourseBase base;    ///< what is quantized
  LoraConfig lora;    ///< what is trained beside it
  bool double_quant;  ///< of the base's maxima
};

/// What a configuration comes to.
struct ConfigurationSizes {
  std::int64_t base = 0;       ///< parameters of the base
  std::int64_t trainable = 0;  ///< of the adapters
  double scaling = 0;          ///< s of y = W x + s · B A x
  std::int64_t footprint = 0;  ///< bytes as transformers counts them: codes, the rest in 16 bits
  std::int64_t resident = 0;   ///< and with what restores the codes
};

/// Counted from shapes alone.
ConfigurationSizes sizes_of(const Configuration& configuration);

/// A model, and the year in which its weights could be had.
struct Release {
  const char* name;  ///< "GPT-2"
  int year;          ///< 2019
};

/// A paper of the further reading.
struct Paper {
  const char* name;    ///< "LoRA"
  std::string number;  ///< on arXiv: it begins with year and month
  int year;            ///< that it is cited with
};

/// Llama 3.2 3B, gemma-2b and Llama 2 7B.
CourseBase llama_3b();
CourseBase gemma_2b();
CourseBase llama_2_7b();

/// The course's inputs.
struct CourseInputs {
  /// BitsAndBytesConfig of the first configuration, as it stands in config.json.
  std::string quantization = R"({"quant_method": "bitsandbytes", "load_in_4bit": true,
    "bnb_4bit_use_double_quant": true, "bnb_4bit_compute_dtype": "bfloat16",
    "bnb_4bit_quant_type": "nf4"})";

  /// The configurations of section 10 of the course; the price project's has two sizes.
  Configuration basic, lite, full, gemma, llama2;

  /// Samples of the Llama 2 run, and a batch size, which the course does not give.
  std::int64_t samples = 1000, batch_size = 16;

  /// What the course names beside Llama 3.2 3B and gemma-2b; of two the names are not right there.
  CourseBase phi, deepseek, qwen;

  /// Open weights in the order of their years, and the model that is called the first.
  std::vector<Release> releases{
      {"GPT-2", 2019}, {"GPT-J", 2021}, {"GPT-NeoX-20B", 2022}, {"BLOOM", 2022}};
  Release llama{"LLaMA", 2023};

  /// The papers of the further reading.
  std::vector<Paper> papers{{"LoRA", "2106.09685", 2021}, {"QLoRA", "2305.14314", 2023}};

  /// The course's own.
  CourseInputs();
};

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter12

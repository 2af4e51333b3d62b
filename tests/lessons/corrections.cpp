// The page of corrections, docs/corrections.md: what the course gets wrong, with the value that the
// library computes. `./course lessons --update` writes it; a test compares.
#include <cstdio>
#include <string>

#include "01_min_max_quantization/claims.h"
#include "02_number_formats_and_int8/claims.h"
#include "03_nf4/claims.h"
#include "04_double_quantization/claims.h"
#include "05_lora_decomposition/claims.h"
#include "06_counting_lora_parameters/claims.h"
#include "07_tokens_and_templates/claims.h"
#include "08_llama_decoder/claims.h"
#include "09_memory_footprint/claims.h"
#include "10_training_mechanics/claims.h"
#include "12_qlora_finetuning/claims.h"
#include "13_adapters/claims.h"
#include "14_evaluation/claims.h"
#include "15_quantization_aware_training/claims.h"
#include "16_dora/claims.h"
#include "17_full_finetuning_and_many_gpus/claims.h"
#include "course/run.h"

namespace qlora {
namespace {

struct ChapterClaims {
  const char* folder;
  const char* title;
  void (*fill)(Ledger&);
};

const ChapterClaims kChapters[] = {
    {"01_min_max_quantization", "Min-max quantization",
     [](Ledger& l) { chapter01::fill_claims(l); }},
    {"02_number_formats_and_int8", "Number formats and int8",
     [](Ledger& l) { chapter02::fill_claims(l); }},
    {"03_nf4", "NF4", [](Ledger& l) { chapter03::fill_claims(l); }},
    {"04_double_quantization", "Double quantization", [](Ledger& l) { chapter04::fill_claims(l); }},
    {"05_lora_decomposition", "LoRA", [](Ledger& l) { chapter05::fill_claims(l); }},
    {"06_counting_lora_parameters", "Counting parameters",
     [](Ledger& l) { chapter06::fill_claims(l); }},
    {"07_tokens_and_templates", "Tokens and templates",
     [](Ledger& l) { chapter07::fill_claims(l); }},
    {"08_llama_decoder", "The decoder", [](Ledger& l) { chapter08::fill_claims(l); }},
    {"09_memory_footprint", "Memory", [](Ledger& l) { chapter09::fill_claims(l); }},
    {"10_training_mechanics", "Training", [](Ledger& l) { chapter10::fill_claims(l); }},
    {"12_qlora_finetuning", "QLoRA", [](Ledger& l) { chapter12::fill_claims(l); }},
    {"13_adapters", "Adapters", [](Ledger& l) { chapter13::fill_claims(l); }},
    {"14_evaluation", "Evaluation", [](Ledger& l) { chapter14::fill_claims(l); }},
    {"15_quantization_aware_training", "Quantization-aware training",
     [](Ledger& l) { chapter15::fill_claims(l); }},
    {"16_dora", "DoRA", [](Ledger& l) { chapter16::fill_claims(l); }},
    {"17_full_finetuning_and_many_gpus", "Full fine-tuning and many GPUs",
     [](Ledger& l) { chapter17::fill_claims(l); }},
};

void print_page() {
  std::printf(
      "# Corrections to the course\n\n"
      "Claims of the course that are wrong: what it says, what the library computes from the\n"
      "course's own inputs or the test that shows it, what is right, and why. The chapter's "
      "lesson\n"
      "has the whole story; with `--all-claims` a chapter lists every claim.\n");
  for (const ChapterClaims& chapter : kChapters) {
    Ledger ledger(std::string(QLORA_CHAPTERS_DIR "/") + chapter.folder + "/numbers.json");
    chapter.fill(ledger);
    ledger.check();
    Table table(
        {"claim", "what it is about", "the course says", "computed here", "right, and why"});
    ledger.add_corrections(table);
    if (table.empty()) continue;
    std::printf("\n## %.2s %s\n\n%s", chapter.folder, chapter.title, table.markdown().c_str());
  }
}

}  // namespace
}  // namespace qlora

int main() {
  return qlora::run_main("corrections", [] {
    qlora::print_page();
    return 0;
  });
}

#include "claims.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/bitsandbytes.h"
#include "course/text.h"
#include "quantization/footprint.h"
#include "training/step_plan.h"

namespace qlora::chapter12 {
namespace {

constexpr double kGiga = 1e9;

using Names = std::vector<std::string>;

LoraConfig adapters(std::int64_t r, std::optional<double> alpha, std::optional<Names> modules) {
  LoraConfig lora;
  lora.r = r;
  if (alpha) lora.lora_alpha = *alpha;
  if (modules) lora.target_modules = *modules;
  return lora;
}

double number(std::int64_t n) {
  return static_cast<double>(n);
}

std::string billions(const CourseBase& base) {
  return fmt::format("{:.2f} B", number(base.shapes().parameters) / kGiga);
}

// Optimizer steps of one epoch.
std::int64_t steps_of(std::int64_t samples, std::int64_t batch_size) {
  const std::vector<TokenizedExample> rows(static_cast<std::size_t>(samples));
  TrainingArguments arguments;
  arguments.per_device_train_batch_size = batch_size;
  arguments.num_train_epochs = 1;
  return StepPlan(rows, arguments).total_steps();
}

void quantization(Ledger& ledger, const CourseInputs& in) {
  ledger.test("QL-01", "QloraLinear.IsTheDequantizedBaseAndTheUpdate");
  const auto config =
      BitsAndBytesConfig::from_json(Json::parse(in.quantization, "the configuration"), "");
  const Json written = config.to_json();
  ledger.checked(
      "QL-02",
      fmt::format("{}, double quantization: {}, arithmetic: {}",
                  written.at("bnb_4bit_quant_type").as_string(),
                  config.use_double_quant ? "yes" : "no", python_name(config.compute_dtype)),
      config.quant_type == QuantType::nf4 && config.use_double_quant &&
          config.compute_dtype == DType::bf16);
  const std::string& method = written.at("quant_method").as_string();
  ledger.checked("QL-08", "BitsAndBytesConfig, of quant_method \"" + method + "\"",
                 method == "bitsandbytes");
  ledger.test("QL-17", "CourseConfigurations.TheBaseIsInFourBitsAndTheAdaptersAreNot");
}

void configurations(Ledger& ledger, const CourseInputs& in) {
  ledger.number("QL-03", sizes_of(in.basic).scaling);
  const ConfigurationSizes gemma = sizes_of(in.gemma), llama2 = sizes_of(in.llama2);
  ledger.number("QL-05", number(gemma.base));
  ledger.number("QL-06", number(gemma.trainable));
  const ModelShapes shapes = in.gemma.base.shapes();
  ledger.number("QL-07", number(adapter_shapes(in.gemma.lora, shapes.layer).front().R));
  ledger.number("QL-11", number(llama2.base) / kGiga);
  ledger.number("QL-13", llama2.scaling);
  ledger.number("QL-14", number(llama2.footprint) / kGiga);
  ledger.number("QL-15", number(steps_of(in.samples, in.batch_size)));
  ledger.test("QL-16", "CourseConfigurations.RankAndAlphaAreSetBeforeTheRunAndStay");
  ledger.test("QL-18", "CourseConfigurations.EachTrains");
  ledger.test("QL-30", "CourseConfigurations.EachTrains");
  ledger.test("QL-31", "CourseConfigurations.DeviceMapAutoIsTheOneDevice");
}

void savings(Ledger& ledger, const CourseInputs& in) {
  const ConfigurationSizes lite = sizes_of(in.lite);
  ledger.test("QL-09", "CourseConfigurations.OnlyTheAdaptersMove");
  const double share = number(lite.trainable) / number(lite.base);
  ledger.checked("QL-10",
                 fmt::format("lite mode trains {} of {} parameters, {:.3f} %",
                             grouped(lite.trainable), grouped(lite.base), 100 * share),
                 share < 0.01);
  // Products of a token: 2 a weight forward, 2 for the gradient of the input, 2 for that of the
  // weight, which a frozen one does not have.
  const double left = (4 + 6 * share) / 6;
  ledger.checked("QL-19",
                 fmt::format("gradients and moments {:.0f} times smaller; products {:.0f} % of "
                             "full fine-tuning's",
                             1 / share, 100 * left),
                 1 / share > 100 && left > 0.66 && left < 0.7);
}

void names(Ledger& ledger, const CourseInputs& in) {
  for (const auto& [id, base] : {std::pair{"QL-25", &in.deepseek}, {"QL-26", &in.qwen}}) {
    const std::int64_t parameters = base->shapes().parameters;
    const auto said = base->name.find(fmt::format("{:.1f}", number(parameters) / kGiga));
    ledger.checked(id, fmt::format("{} ({} parameters)", base->name, grouped(parameters)),
                   said != std::string::npos);
  }
  const CourseBase& llama = in.lite.base;
  std::vector<std::string> sizes;
  std::vector<double> shares;
  for (const CourseBase* base : {&in.gemma.base, &in.phi, &in.deepseek, &in.qwen}) {
    sizes.push_back(billions(*base));
    shares.push_back(number(base->shapes().parameters) / number(llama.shapes().parameters));
  }
  const auto [least, most] = std::ranges::minmax(shares);
  ledger.checked("QL-27",
                 fmt::format("{} against {}: {:.2f} to {:.2f} of it", joined(sizes),
                             billions(llama), least, most),
                 least < 0.5 && most < 1);
}

void history(Ledger& ledger, const CourseInputs& in) {
  std::vector<std::string> before;
  for (const Release& r : in.releases) {
    if (r.year < in.llama.year) before.push_back(fmt::format("{} ({})", r.name, r.year));
  }
  ledger.checked("QL-29",
                 fmt::format("before {} ({}): {}", in.llama.name, in.llama.year, joined(before)),
                 !before.empty());
  std::vector<std::string> papers;
  bool right = true;
  for (const Paper& p : in.papers) {
    const int year = 2000 + std::stoi(p.number.substr(0, 2));
    papers.push_back(fmt::format("{} {}, of {}", p.name, p.number, year));
    right = right && year == p.year;
  }
  ledger.checked("QL-32", joined(papers, "; "), right);
}

// What an account, a licence or a hosted machine decides.
void hosted(Ledger& ledger) {
  ledger.not_checkable(
      "QL-04",
      "The repository is gated: its files come with an accepted licence and a token; the shapes "
      "are known without it (chapter 8).",
      "hf download meta-llama/Llama-3.2-3B --local-dir DIR; ./course run 8 inspect --model DIR; "
      "./course run 9 plan --model DIR --config chapters/12_qlora_finetuning/configs/basic.json");
  ledger.not_checkable(
      "QL-12", "The checkpoint is gated, and a name for what comes out of it decides nothing here.",
      "hf download meta-llama/Llama-2-7b-chat-hf --local-dir DIR; ./course run 12 train --model "
      "DIR --data FILE --config chapters/12_qlora_finetuning/configs/llama_2_7b_chat.json "
      "--output-dir ADAPTER; ./course run 13 merge --model DIR --adapter ADAPTER --output "
      "Llama-2-7b-chat-finetune");
  ledger.not_checkable(
      "QL-20",
      "The message is bitsandbytes' own in a hosted runtime that has lost its GPU, and the cure is "
      "that service's.",
      "in Colab, load a model in 4 bits in a runtime without GPU, then follow the procedure and "
      "load it again; here, on a machine without GPU, ./course run 12 train --device cuda --model "
      "DIR --data FILE says so and ends with exit code 4");
  ledger.not_checkable(
      "QL-21", "What a hosted service gives away, and where its menus are, is that service's.",
      "in Colab after Runtime > Change runtime type > T4: !nvidia-smi shows a Tesla T4 of "
      "15360MiB");
  ledger.not_checkable(
      "QL-24", "It needs an account, its token, and the service that keeps the secret.",
      "in Colab with HF_TOKEN among the secrets, after login(userdata.get('HF_TOKEN'), "
      "add_to_git_credential=True): huggingface_hub.hf_hub_download('meta-llama/Llama-3.2-3B', "
      "'config.json') gives a path");
  ledger.not_checkable(
      "QL-28", "Who may download a repository is decided by the hub, which is not here.",
      "curl -sLo /dev/null -w '%{http_code}\n' "
      "https://huggingface.co/meta-llama/Llama-3.2-3B/resolve/main/config.json without a token: "
      "401 is a refusal");
}

// What only Python and its package index decide.
void packages(Ledger& ledger) {
  ledger.not_checkable(
      "QL-22",
      "Which packages there are is known to Python's package index; of the five names, the "
      "course's line installs the first alone, the others stand in a comment.",
      "python3 -m venv v && v/bin/pip install bitsandbytes transformers peft accelerate datasets");
  ledger.not_checkable(
      "QL-23",
      "Whether Python finds these names is decided by the packages, which are not a part of this "
      "program.",
      "v/bin/python -c \"import os, re, math, torch; from tqdm import tqdm; from huggingface_hub "
      "import login; from transformers import AutoModelForCausalLM, AutoTokenizer, "
      "BitsAndBytesConfig, TrainingArguments, set_seed; from peft import LoraConfig, PeftModel; "
      "from datetime import datetime\" where v is the environment of QL-22; in Colab also from "
      "google.colab import userdata");
}

}  // namespace

ModelShapes CourseBase::shapes() const {
  return model_shapes(Json::parse(config, name));
}

CourseBase llama_3b() {
  return {"meta-llama/Llama-3.2-3B", R"({"model_type": "llama", "hidden_size": 3072,
    "num_hidden_layers": 28, "num_attention_heads": 24, "num_key_value_heads": 8, "head_dim": 128,
    "intermediate_size": 8192, "vocab_size": 128256, "tie_word_embeddings": true})"};
}

CourseBase gemma_2b() {
  return {"google/gemma-2b", R"({"model_type": "gemma", "hidden_size": 2048,
    "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256,
    "intermediate_size": 16384, "vocab_size": 256000})"};
}

CourseBase llama_2_7b() {
  return {"meta-llama/Llama-2-7b-chat-hf", R"({"model_type": "llama", "hidden_size": 4096,
    "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11008,
    "vocab_size": 32000, "tie_word_embeddings": false})"};
}

CourseInputs::CourseInputs()
    : basic{"basic", llama_3b(), adapters(16, 32, Names{"q_proj", "v_proj"}), true},
      lite{"price_lite", llama_3b(),
           adapters(32, 64, Names{"q_proj", "k_proj", "v_proj", "o_proj"}), true},
      full{"price_full", llama_3b(),
           adapters(
               256, 512,
               Names{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
           true},
      gemma{"gemma_2b", gemma_2b(),
            adapters(
                8, std::nullopt,
                Names{"q_proj", "o_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"}),
            false},
      llama2{"llama_2_7b_chat", llama_2_7b(), adapters(64, 16, std::nullopt), false},
      phi{"microsoft/phi-2", R"({"model_type": "phi", "hidden_size": 2560,
        "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 10240,
        "vocab_size": 51200, "tie_word_embeddings": false})"},
      deepseek{"deepseek-ai/deepseek-coder-1.3b-base", R"({"model_type": "llama",
        "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16,
        "num_key_value_heads": 16, "intermediate_size": 5504, "vocab_size": 32256,
        "tie_word_embeddings": false})"},
      qwen{"Qwen/Qwen1.5-1.8B", R"({"model_type": "qwen2", "hidden_size": 2048,
        "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16,
        "intermediate_size": 5504, "vocab_size": 151936, "tie_word_embeddings": false})"} {
  basic.lora.lora_dropout = 0.05;
}

ConfigurationSizes sizes_of(const Configuration& c) {
  const ModelShapes model = c.base.shapes();
  const std::vector<LinearShape> linears = stacked(model.layer, model.layers);
  std::vector<Shape> shapes;
  shapes.reserve(linears.size());
  for (const LinearShape& l : linears) shapes.push_back({l.N, l.K});
  const FourBitBytes bytes = four_bit_bytes(shapes, {64, c.double_quant, 256});
  ConfigurationSizes sizes;
  sizes.base = model.parameters;
  sizes.trainable = lora_parameters(adapter_shapes(c.lora, linears));
  sizes.scaling = scaling_of(c.lora, linears.front().name);
  sizes.footprint = bytes.packed + 2 * (model.parameters - bytes.weights);
  sizes.resident = sizes.footprint + bytes.constants();
  return sizes;
}

void fill_claims(Ledger& ledger, const CourseInputs& inputs) {
  quantization(ledger, inputs);
  configurations(ledger, inputs);
  savings(ledger, inputs);
  names(ledger, inputs);
  history(ledger, inputs);
  hosted(ledger);
  packages(ledger);
}

}  // namespace qlora::chapter12

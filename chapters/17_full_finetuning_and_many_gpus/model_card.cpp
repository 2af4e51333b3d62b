#include <fmt/format.h>

#include "core/json.h"
#include "course/table.h"
#include "pretrain.h"
#include "support/model_options.h"

namespace qlora {

Json print_model_card() {
  const std::string folder = data_folder() + "/tiny-llama";
  const Json log = Json::read(folder + "/pretraining.json");
  const LlamaConfig config = llama_config(Json::read(folder + "/config.json"));
  Table corpus({"text", "documents", "MB"}, "lrr");
  for (const Json& part : log.at("corpus").as_array()) {
    corpus.add({part.at("name").as_string(), grouped(part.at("documents").as_integer()),
                fmt::format("{:.1f}", part.at("bytes").as_number() / 1e6)});
  }
  fmt::print("The embedded model, {} parameters, all of them trained on:\n\n{}\n",
             grouped(config.parameter_count()), corpus.text());
  fmt::print(
      "{} tokens seen in {} steps and {:.0f} s; loss on held-out text {:.3f} nats a token.\n",
      grouped(log.at("tokens_seen").as_integer()), log.at("max_steps").as_integer(),
      log.at("seconds").as_number(), log.at("held_out_loss").as_number());
  fmt::print("ch17_full_finetuning_and_many_gpus pretrain --help makes it again.\n");
  Json figures = Json::object();
  for (const auto& [name, value] : log.as_object()) {
    if (name != "log_history" && name != "provenance") figures[name] = value;
  }
  return figures;
}

}  // namespace qlora

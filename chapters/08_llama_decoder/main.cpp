// Chapter 8: the Llama 3.2 decoder. Without a verb the lesson; logits, generate and inspect are the
// tool.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"
#include "verbs.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch08_llama_decoder",
                  "The Llama 3.2 decoder, part by part; logits and text of any such folder.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, chapter08::tell,
                [](Ledger& ledger) { chapter08::fill_claims(ledger); }, chapter08::draw},
               lesson);
  });

  LogitsOptions l;
  Options& logits = options.verb("logits", "Logits, and the loss, of rows of token ids.");
  add_model_options(logits, l.model);
  add_adapter_option(logits, l.model);
  logits.add("--ids", l.ids, "JSON with input_ids, attention_mask, position_ids, labels")
      .required()
      .value_name("FILE");
  logits.add("--output", l.output, "safetensors to write").required().value_name("FILE");
  logits.add("--hidden-states", l.hidden_states, "write hidden_states.0 … L too");
  logits.add("--json", l.json, "write the results there").value_name("FILE");
  logits.action([&] { run_logits(l); });

  GenerateOptions g;
  Options& generate = options.verb("generate", "Goes on with a text, token by token; or talks.");
  add_model_options(generate, g.model);
  add_adapter_option(generate, g.model);
  generate.add("--prompt", g.prompt, "the text to go on with").value_name("TEXT");
  generate.add("--chat", g.chat, "a conversation in the model's template, line by line");
  generate.add("--system", g.system, "its system message").value_name("TEXT");
  generate.add("--max-new-tokens", g.max_new_tokens, "tokens at most, in each answer").at_least(1);
  generate.add("--temperature", g.sampling.temperature, "0: always the most likely token")
      .at_least(0);
  generate.add("--top-k", g.sampling.top_k, "of the k most likely tokens; 0: of all").at_least(0);
  generate.add("--top-p", g.sampling.top_p, "of the most likely tokens with this mass").at_least(0);
  generate.add("--seed", g.seed, "of the draws").at_least(0);
  generate.add("--json", g.json, "write the results there").value_name("FILE");
  generate.action([&] { run_generate(g); });

  InspectOptions i;
  Options& inspect =
      options.verb("inspect", "The module tree as transformers prints it, from config.json alone.");
  add_model_options(inspect, i.model);
  add_adapter_option(inspect, i.model);
  inspect.add("--json", i.json, "write the results there").value_name("FILE");
  inspect.action([&] { run_inspect(i); });
  return run(argc, argv, options);
}

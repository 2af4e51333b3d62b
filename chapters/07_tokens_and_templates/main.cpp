// Chapter 7: text to ids. Without a verb the lesson; encode, decode, render and train-tokenizer are
// the tool.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"
#include "verbs.h"

namespace {

// `o` must outlive the options.
template <typename Verb>
void add_verb(qlora::Options& options, const char* name, const char* description, Verb& o) {
  qlora::Options& verb = options.verb(name, description);
  add_options(verb, o);
  verb.action([&o] { run(o); });
}

}  // namespace

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch07_tokens_and_templates",
                  "Tokens and templates: what a model reads, and what it is trained on.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter07::tell(); },
                [](Ledger& ledger) { chapter07::fill_claims(ledger); }, chapter07::draw},
               lesson);
  });

  chapter07::EncodeVerb encode;
  add_verb(options, "encode", "Text to token ids.", encode);
  chapter07::DecodeVerb decode;
  add_verb(options, "decode", "Token ids to text.", decode);
  chapter07::RenderVerb render;
  add_verb(options, "render", "Conversations in the text of the model's template.", render);
  chapter07::TrainVerb train;
  add_verb(options, "train-tokenizer", "Learns a byte-level BPE from text.", train);
  return run(argc, argv, options);
}

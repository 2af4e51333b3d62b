// Chapter 7: text to ids. Without a verb the lesson; encode, decode, render and train-tokenizer are
// the tool.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"
#include "verbs.h"

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

  chapter07::EncodeVerb e;
  Options& encode = options.verb("encode", "Text to token ids.");
  add_options(encode, e);
  encode.action([&] { run(e); });

  chapter07::DecodeVerb d;
  Options& decode = options.verb("decode", "Token ids to text.");
  add_options(decode, d);
  decode.action([&] { run(d); });

  chapter07::RenderVerb r;
  Options& render = options.verb("render", "Conversations in the text of the model's template.");
  add_options(render, r);
  render.action([&] { run(r); });

  chapter07::TrainVerb t;
  Options& train = options.verb("train-tokenizer", "Learns a byte-level BPE from text.");
  add_options(train, t);
  train.action([&] { run(t); });
  return run(argc, argv, options);
}

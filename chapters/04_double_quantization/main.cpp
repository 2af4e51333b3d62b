// Chapter 4: double quantization. The lesson alone; `quantize --double-quant` of chapter 3 is the
// tool.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch04_double_quantization",
                  "Double quantization: the constants quantized, 4.5 to 4.127 bits a weight.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    const auto claims = [](Ledger& ledger) { chapter04::fill_claims(ledger); };
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter04::tell(); }, claims,
                chapter04::draw},
               lesson);
  });
  return run(argc, argv, options);
}

// Chapter 3: NF4. Without a verb the lesson; quantize and dequantize are the tool.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"
#include "verbs.h"

namespace {

void add_common(qlora::Options& verb, qlora::ConversionOptions& o) {
  verb.add("--input", o.input, "a safetensors file").value_name("FILE");
  verb.add("--model", o.model, "a Hugging Face model folder").value_name("DIR");
  verb.add("--output", o.output, "the file or the folder to write").required().value_name("PATH");
  verb.add("--json", o.json, "write what was done there").value_name("FILE");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch03_nf4",
                  "NF4: sixteen values out of the quantiles of the normal distribution.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    const auto claims = [](Ledger& ledger) { chapter03::fill_claims(ledger); };
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter03::tell(); }, claims,
                chapter03::draw},
               lesson);
  });

  ConversionOptions o;
  Options& quantize = options.verb(
      "quantize",
      "Quantizes every floating-point tensor of a file, or the linear layers of a model folder's "
      "decoder, into the names and bytes of bitsandbytes.");
  add_common(quantize, o);
  quantize.add("--type", o.type, "what to quantize to")
      .choices({"nf4", "fp4", "int8", "blockwise8"});
  quantize.add("--blocksize", o.blocksize, "values that share a scale: a power of two, 32 to 4096");
  quantize.add("--double-quant", o.double_quant, "quantize the scales in their turn");
  quantize
      .add("--bnb-4bit-compute-dtype", o.compute_dtype,
           "what quantization_config of a model says about arithmetic")
      .choices({"float32", "float16", "bfloat16"});
  quantize.action([&] { run_quantize(o); });

  Options& dequantize = options.verb("dequantize", "Restores what quantize wrote.");
  add_common(dequantize, o);
  dequantize
      .add("--dtype", o.dtype, "of all floating-point tensors; default: what each was made from")
      .choices({"float32", "float16", "bfloat16"});
  dequantize.action([&] { run_dequantize(o); });
  return run(argc, argv, options);
}

// MB/s of text in on one core, with Llama's own vocabularies from the optional assets
// (COURSE_ASSETS): byte-level BPE by Llama 3's tiktoken file and its tokenizer.json, with and
// without ignore_merges; SentencePiece by Llama 2's model. Goal: 10 MB/s for Llama 3. Then how long
// its files take to load.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/files.h"
#include "core/json.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

const std::string& assets() {
  static const std::string folder = [] {
    const char* given = std::getenv("COURSE_ASSETS");
    return std::string(given == nullptr ? "" : given);
  }();
  return folder;
}

// tokenizer.json lies there packed, and is unpacked by xz.
const std::string& llama3_json() {
  static const std::string text = [] {
    const auto place = std::filesystem::temp_directory_path() / "bench_tokenizer.json";
    const std::string path = place.string() + "." + std::to_string(getpid());
    const std::string command =
        "xz -dc '" + assets() + "/tokenizers/llama3/tokenizer.json.xz' > '" + path + "'";
    std::string unpacked;
    if (std::system(command.c_str()) == 0) unpacked = read_file(path);
    std::filesystem::remove(path);
    return unpacked;
  }();
  return text;
}

// The same as the tokenizers library writes it today, and as Llama 3.2's folder has it: merges as
// pairs, a line for each side. 17 MB.
const std::string& llama3_json_of_pairs() {
  static const std::string text = [] {
    Json json = Json::parse(llama3_json(), "tokenizer.json");
    Json::Array pairs;
    for (const Json& merge : json.at("model").at("merges").as_array()) {
      const std::string& both = merge.as_string();
      const std::size_t space = both.find(' ');
      pairs.push_back(Json(Json::Array{both.substr(0, space), both.substr(space + 1)}));
    }
    json["model"]["merges"] = Json(std::move(pairs));
    return json.dump(2);
  }();
  return text;
}

Tokenizer without_ignore_merges() {
  Json json = Json::parse(llama3_json(), "tokenizer.json");
  json["model"]["ignore_merges"] = false;
  return Tokenizer::from_bytes(json.dump(), "tokenizer.json");
}

bool skips(benchmark::State& state) {
  if (!assets().empty() && !llama3_json().empty()) return false;
  state.SkipWithError("needs the course's optional assets (COURSE_ASSETS), and xz");
  return true;
}

template <typename Load>
void encode(benchmark::State& state, Load load) {
  if (skips(state)) return;
  const Tokenizer tokenizer = load();
  const std::string text = read_file(assets() + "/text/tinyshakespeare.txt");
  std::size_t tokens = 0;
  while (state.KeepRunning()) tokens = tokenizer.encode(text).size();
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
  state.counters["tokens"] = static_cast<double>(tokens);
}

template <typename Load>
void decode(benchmark::State& state, Load load) {
  if (skips(state)) return;
  const Tokenizer tokenizer = load();
  const std::string text = read_file(assets() + "/text/tinyshakespeare.txt");
  const auto ids = tokenizer.encode(text);
  while (state.KeepRunning()) benchmark::DoNotOptimize(tokenizer.decode(ids));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

template <typename Load>
void load(benchmark::State& state, Load load) {
  if (skips(state)) return;
  load();  // the text is made once
  while (state.KeepRunning()) benchmark::DoNotOptimize(load().vocab_size());
}

const auto kLlama2 = [] { return Tokenizer::load(assets() + "/tokenizers/llama2"); };
const auto kTiktoken = [] { return Tokenizer::load(assets() + "/tokenizers/llama3"); };
const auto kJson = [] { return Tokenizer::from_bytes(llama3_json(), "tokenizer.json"); };
const auto kPairs = [] { return Tokenizer::from_bytes(llama3_json_of_pairs(), "tokenizer.json"); };

BENCHMARK_CAPTURE(encode, llama3_tiktoken, kTiktoken)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, llama3_json, kJson)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, llama3_merges_alone, without_ignore_merges)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, llama2_sentencepiece, kLlama2)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decode, llama3_tiktoken, kTiktoken)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decode, llama2_sentencepiece, kLlama2)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, llama3_tiktoken, kTiktoken)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, llama3_json, kJson)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, llama3_json_of_pairs, kPairs)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, llama2_sentencepiece, kLlama2)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace qlora

BENCHMARK_MAIN();

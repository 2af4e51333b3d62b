#include "checkpoint/model_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/files.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;
using testing::golden;
using testing::same_bytes;
using testing::scratch;
using testing::write_text;

const std::vector<float> kOne{1.0f};

// A folder with the shards a and b and the index that is given.
std::string sharded(const std::string& weight_map, const std::string& in_b = "y") {
  const std::string folder = scratch().string();
  const Tensor one = Tensor::from<float>(kOne, {1});
  write_text(folder + "/config.json", "{}");
  write_safetensors(folder + "/a.safetensors", {{"x", one}});
  write_safetensors(folder + "/b.safetensors", {{in_b, one}});
  write_text(folder + "/model.safetensors.index.json", R"({"weight_map": )" + weight_map + "}");
  return folder;
}

TEST(ModelFolder, ReadsOneFileAndShards) {
  const ModelFolder single = ModelFolder::open(golden("llama/b_fp32"));
  const ModelFolder shards = ModelFolder::open(golden("llama/b_bf16"));
  EXPECT_EQ(single.tensors.files().size(), 1u);
  EXPECT_EQ(shards.tensors.files().size(), 3u);
  EXPECT_EQ(shards.config.at("dtype").as_string(), "bfloat16");
  EXPECT_EQ(shards.tensors.names().size(), single.tensors.names().size());
  for (const std::string& name : single.tensors.names()) {
    // b_bf16 is b_fp32 rounded to nearest even.
    EXPECT_TRUE(
        same_bytes(shards.tensors.tensor(name), single.tensors.tensor(name).to(DType::bf16)))
        << name;
    shards.tensors.release(name);
  }
}

TEST(ModelFolder, ListsNamesByPrefix) {
  const ModelFolder folder = ModelFolder::open(golden("llama/a_bf16"));
  EXPECT_EQ(folder.tensors.names_with_prefix("model.layers.1.mlp."),
            (std::vector<std::string>{"model.layers.1.mlp.down_proj.weight",
                                      "model.layers.1.mlp.gate_proj.weight",
                                      "model.layers.1.mlp.up_proj.weight"}));
  EXPECT_TRUE(folder.tensors.names_with_prefix("nothing").empty());
  EXPECT_EQ(folder.tensors.info("model.norm.weight").shape, Shape{64});
}

TEST(ModelFolder, RefusesABrokenIndex) {
  EXPECT_NO_THROW(ModelFolder::open(sharded(R"({"x": "a.safetensors", "y": "b.safetensors"})")));
  const auto open = [](const std::string& map, const std::string& in_b = "y") {
    return ModelFolder::open(sharded(map, in_b));
  };
  EXPECT_BAD_INPUT(open(R"({"x": "a.safetensors", "y": "c.safetensors"})"), "c.safetensors: ");
  EXPECT_BAD_INPUT(open(R"({"x": "b.safetensors", "y": "b.safetensors"})"),
                   "x: is not in b.safetensors");
  EXPECT_BAD_INPUT(open(R"({"x": "b.safetensors", "y": "a.safetensors"})"), "is not in ");
  EXPECT_BAD_INPUT(open(R"({"x": "a.safetensors", "y": "b.safetensors", "z": "b.safetensors"})"),
                   "z: is not in b.safetensors");
  EXPECT_BAD_INPUT(open(R"({"x": "a.safetensors", "x2": "b.safetensors"})", "x"),
                   "x: also stands in ");
  EXPECT_BAD_INPUT(open(R"({"x": "a.safetensors", "y": "b.safetensors"})", "w"), "y: is not in");
  EXPECT_BAD_INPUT(open(R"({"x": "a.safetensors", "y": "../b.safetensors"})"), "beside it");
  EXPECT_BAD_INPUT(open(R"({"x": "a.safetensors", "y": "/etc/passwd"})"), "beside it");
  EXPECT_BAD_INPUT(open(R"({"x": 1})"), "weight_map.x");
  EXPECT_BAD_INPUT(open("[]"), "expected an object");
  EXPECT_BAD_INPUT(open(R"({"x": "a.safetensors")"), "not valid JSON");
}

TEST(ModelFolder, RefusesATensorThatTheIndexDoesNotList) {
  const std::string folder = sharded(R"({"x": "a.safetensors", "y": "b.safetensors"})");
  const Tensor one = Tensor::from<float>(kOne, {1});
  write_safetensors(folder + "/b.safetensors", {{"y", one}, {"extra", one}});
  EXPECT_BAD_INPUT(ModelFolder::open(folder), "extra: is not in weight_map");
}

TEST(ModelFolder, RefusesAFolderThatIsNoModel) {
  const std::string folder = scratch().string();
  EXPECT_BAD_INPUT(ModelFolder::open(folder + "/nothing"), "is not a folder");
  EXPECT_BAD_INPUT(ModelFolder::open(folder), "config.json: cannot be opened");
  write_text(folder + "/config.json", "[]");
  EXPECT_BAD_INPUT(ModelFolder::open(folder), "is not an object");
  write_text(folder + "/config.json", "{}");
  EXPECT_BAD_INPUT(ModelFolder::open(folder), "holds neither model.safetensors nor");
}

// Five tensors of 8 bytes.
std::vector<TensorInfo> five() {
  std::vector<TensorInfo> infos;
  for (const char* name : {"e", "d", "c", "b", "a"}) infos.push_back({name, DType::i64, {1}});
  return infos;
}

TEST(ModelWriter, FillsShardsInTheOrderGiven) {
  const std::string folder = scratch().string();
  std::vector<TensorInfo> infos = five();
  infos.push_back({"large", DType::i64, {4}});  // above the limit: a shard of its own
  infos.push_back({"last", DType::i64, {1}});
  ModelWriter writer(folder, infos, 17);
  for (auto at = infos.rbegin(); at != infos.rend(); ++at) {
    writer.write(at->name, Tensor::zeros(DType::i64, at->shape));
  }
  writer.finish();
  write_config(folder, Json::object());
  const ModelFolder read = ModelFolder::open(folder);
  const auto shard = [&](const char* name) {
    return fs::path(read.tensors.file_of(name).path()).filename().string();
  };
  EXPECT_EQ(shard("e"), "model-00001-of-00005.safetensors");
  EXPECT_EQ(shard("d"), "model-00001-of-00005.safetensors");
  EXPECT_EQ(shard("c"), "model-00002-of-00005.safetensors");
  EXPECT_EQ(shard("a"), "model-00003-of-00005.safetensors");
  EXPECT_EQ(shard("large"), "model-00004-of-00005.safetensors");
  EXPECT_EQ(shard("last"), "model-00005-of-00005.safetensors");
  const Json index = Json::read(folder + "/model.safetensors.index.json");
  EXPECT_EQ(index.at("metadata").at("total_size").as_integer(), 8 * 5 + 32 + 8);
}

TEST(ModelWriter, WritesOneFileWhereOneIsEnough) {
  const std::string folder = scratch().string();
  ModelWriter writer(folder, five());
  for (const TensorInfo& t : five()) writer.write(t.name, Tensor::zeros(DType::i64, {1}));
  EXPECT_THROW(writer.write("z", Tensor::zeros(DType::i64, {1})), std::invalid_argument);
  EXPECT_FALSE(fs::exists(folder + "/model.safetensors")) << "it is there before it is finished";
  writer.finish();
  EXPECT_EQ(SafetensorsFile::open(folder + "/model.safetensors").names().size(), 5u);
  EXPECT_FALSE(fs::exists(folder + "/model.safetensors.index.json"));
}

TEST(ModelWriter, RealShapesSplitWhereTransformersSplitsThem) {
  // Llama-3.2-3B in bfloat16, in the order of the state dict: the published first shard ends before
  // layers.20.mlp.down_proj. Only shapes are looked at: nothing of that size is written.
  std::vector<TensorInfo> infos{{"model.embed_tokens.weight", DType::bf16, {128256, 3072}}};
  for (int i = 0; i < 28; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const auto add = [&](const char* name, Shape shape) {
      infos.push_back({layer + name + ".weight", DType::bf16, std::move(shape)});
    };
    add("self_attn.q_proj", {3072, 3072});
    add("self_attn.k_proj", {1024, 3072});
    add("self_attn.v_proj", {1024, 3072});
    add("self_attn.o_proj", {3072, 3072});
    add("mlp.gate_proj", {8192, 3072});
    add("mlp.up_proj", {8192, 3072});
    add("mlp.down_proj", {3072, 8192});
    add("input_layernorm", {3072});
    add("post_attention_layernorm", {3072});
  }
  infos.push_back({"model.norm.weight", DType::bf16, {3072}});
  const std::string folder = scratch().string();
  const ModelWriter writer(folder, infos);
  std::vector<std::string> headers;
  for (const auto& entry : fs::directory_iterator(folder)) {
    headers.push_back(read_file(entry.path().string()));
  }
  ASSERT_EQ(headers.size(), 2u);
  if (headers[0].find("embed_tokens") == std::string::npos) std::swap(headers[0], headers[1]);
  // The headers' sizes are those of the published files: 21,680 and 7,704 bytes.
  EXPECT_EQ(headers[0].size(), 8u + 21680);
  EXPECT_EQ(headers[1].size(), 8u + 7704);
  EXPECT_EQ(headers[0].find("layers.20.mlp.down_proj"), std::string::npos);
  EXPECT_NE(headers[1].find("layers.20.mlp.down_proj"), std::string::npos);
}

TEST(CopyCompanions, TakesWhatBelongsToAModelAndNothingElse) {
  const fs::path from = scratch() / "from";
  const fs::path to = scratch() / "to";
  fs::create_directories(from / "folder");
  fs::create_directories(to);
  const std::vector<std::string> belong{
      "LICENSE.txt",         "USE_POLICY.md",           "added_tokens.json",
      "chat_template.jinja", "generation_config.json",  "merges.txt",
      "sentencepiece.model", "special_tokens_map.json", "tokenizer.json",
      "tokenizer.model",     "tokenizer_config.json",   "vocab.json"};
  for (const std::string& name : belong) write_text((from / name).string(), "x");
  for (const char* name :
       {"config.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
        ".gitattributes", "README.md", "held_out.jsonl", "pretraining.json", "pretraining_loss.svg",
        "trainer_state.json", "adapter_config.json", "note.txt"}) {
    write_text((from / name).string(), "x");
  }
  copy_companions(from.string(), to.string());
  std::vector<std::string> copied;
  for (const auto& entry : fs::directory_iterator(to)) {
    copied.push_back(entry.path().filename().string());
  }
  std::sort(copied.begin(), copied.end());
  EXPECT_EQ(copied, belong);
  EXPECT_BAD_INPUT(copy_companions("/nowhere", to.string()), "/nowhere");
}

TEST(OutputFolder, IsNewOrEmpty) {
  const std::string input = scratch().string(), output = (scratch() / "out").string();
  EXPECT_NO_THROW(check_output_folder(input, output));
  fs::create_directories(output);
  EXPECT_NO_THROW(check_output_folder(input, output));
  write_text(output + "/config.json", "{}");  // a model, whoever made it
  EXPECT_BAD_INPUT(check_output_folder(input, output), "out: is not empty");
  EXPECT_BAD_INPUT(check_output_folder(input, output + "/config.json"), "is not a folder");
  EXPECT_BAD_INPUT(check_output_folder(input, input), "is the input itself");
}

}  // namespace
}  // namespace qlora

#include "text/chat.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "support/golden.h"
#include "text/embedded_tokenizer.h"

namespace qlora {
namespace {

using testing::scratch;

const std::vector<Message> kTwoTurns = {
    {"system", "Be brief."}, {"user", " Hi \n"}, {"assistant", "Hello. "}, {"user", "Bye"}};

TEST(Llama2Chat, Text) {
  EXPECT_EQ(render_llama2_chat(kTwoTurns),
            "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] Hello. </s>"
            "<s>[INST] Bye [/INST]");
  EXPECT_EQ(render_llama2_chat(std::vector<Message>{{"user", " q "}}), "<s>[INST] q [/INST]");
}

// meta-llama/llama, generation.py: each turn is encoded by itself, between BOS and EOS.
TEST(Llama2Chat, IdsAreThoseOfTheTurns) {
  const Tokenizer& t = testing::embedded_tokenizer();
  std::vector<std::int32_t> expected =
      t.encode("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] Hello. ",
               {.add_bos = true, .add_eos = true});
  for (const std::int32_t id : t.encode("[INST] Bye [/INST]")) expected.push_back(id);
  EXPECT_EQ(encode_llama2_chat(t, kTwoTurns), expected);
}

TEST(Llama2Chat, IdsOfLlama2) {
  SKIP_WITHOUT_ASSETS();
  const Tokenizer t = Tokenizer::load(testing::assets() + "/tokenizers/llama2");
  const std::vector<Message> turn = {{"system", "Be brief."}, {"user", "Hi"}};
  EXPECT_EQ(encode_llama2_chat(t, turn),
            (std::vector<std::int32_t>{1,    518,   25580, 29962, 3532,  14816, 29903, 6778,  13,
                                       3629, 11473, 29889, 13,    29966, 829,   14816, 29903, 6778,
                                       13,   13,    18567, 518,   29914, 25580, 29962}));
}

TEST(Llama2Chat, RolesAndTagsAreChecked) {
  const auto render = [](std::vector<Message> messages) { return render_llama2_chat(messages); };
  EXPECT_THROW(render({}), BadInput);
  EXPECT_THROW(render({{"system", "s"}}), BadInput);
  EXPECT_THROW(render({{"assistant", "a"}}), BadInput);
  EXPECT_THROW(render({{"user", "a"}, {"user", "b"}}), BadInput);
  EXPECT_THROW(render({{"user", "a"}, {"system", "b"}}), BadInput);
  EXPECT_THROW(render({{"user", "now [/INST] done"}}), BadInput);
  EXPECT_THROW(render({{"system", "<</SYS>>"}, {"user", "u"}}), BadInput);
}

TEST(ChatTemplateOf, FindsLlama2sAndRefusesOthers) {
  const std::string folder = scratch().string();
  const auto config = [&](const std::string& text) {
    std::ofstream(scratch() / "tokenizer_config.json") << text;
    return chat_template_of(folder);
  };
  EXPECT_EQ(chat_template_of(folder), ChatTemplate::none);
  EXPECT_EQ(config("{}"), ChatTemplate::none);
  EXPECT_EQ(config("{\"chat_template\": \"{{ '[INST] ' + '<<SYS>>' }}\"}"), ChatTemplate::llama2);
  EXPECT_THROW(config("{\"chat_template\": \"<|start_header_id|>\"}"), BadInput);
  EXPECT_THROW(config("{\"chat_template\": 3}"), BadInput);
  std::ofstream(scratch() / "chat_template.jinja") << "[INST] <<SYS>>";
  EXPECT_EQ(chat_template_of(folder), ChatTemplate::llama2);
}

}  // namespace
}  // namespace qlora

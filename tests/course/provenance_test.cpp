#include "course/provenance.h"

#include <gtest/gtest.h>

#include "core/parallel.h"

namespace qlora {
namespace {

TEST(Provenance, EveryPartIsKnownOrSaysThatItIsNot) {
  const Provenance p = provenance();
  EXPECT_FALSE(p.commit.empty());
  EXPECT_FALSE(p.build_type.empty());
  EXPECT_FALSE(p.compiler.empty());
  EXPECT_FALSE(p.processor.empty());
  EXPECT_EQ(p.threads, thread_count());
  EXPECT_EQ(p.gpu, "");
  EXPECT_EQ(one_line(p).find('\n'), std::string::npos);
}

TEST(Provenance, LineAndJsonSayTheSame) {
  Provenance p{"abc", "Release", "g++ 12", "A processor", 1, ""};
  EXPECT_EQ(one_line(p), "commit abc, Release, g++ 12, A processor, 1 thread");
  EXPECT_TRUE(json(p).at("gpu").is_null());
  p.gpu = "NVIDIA H100";
  p.threads = 2;
  EXPECT_EQ(one_line(p), "commit abc, Release, g++ 12, A processor, 2 threads, NVIDIA H100");
  EXPECT_EQ(json(p).dump(), R"({"commit": "abc", "build_type": "Release", "compiler": "g++ 12", )"
                            R"("processor": "A processor", "threads": 2, "gpu": "NVIDIA H100"})");
}

TEST(Provenance, NamesTheLearnersUnits) {
  const Provenance p{"abc", "Release", "g++ 12", "A processor", 1, "", "nf4 from chapters/03_nf4"};
  EXPECT_EQ(one_line(p),
            "commit abc, Release, g++ 12, A processor, 1 thread, units: nf4 from chapters/03_nf4");
  EXPECT_EQ(json(p).at("units").as_string(), "nf4 from chapters/03_nf4");
}

}  // namespace
}  // namespace qlora

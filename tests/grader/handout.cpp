#include "handout.h"
namespace qlora::grader {
void hand_out(int, const std::filesystem::path&, const std::filesystem::path&) {}
}  // namespace qlora::grader

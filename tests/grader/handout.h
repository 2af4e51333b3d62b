// What an instructor gives out: a chapter's exercise in a tree that builds and grades on its own.
#pragma once

#include <filesystem>
#include <string>

namespace qlora::grader {

/// Makes the folder: lesson, stubs, tests, and what they need. Every file of common/ that is the
/// reference of this chapter's exercise or of a later one is there as its stub, so that all links;
/// mutants, the adapters of the oracles, and CUDA twins of those files are left out.
/// @param number  of the chapter
/// @param stubs   a folder of pristine stubs, NN_name/FILE
/// @throws BadInput where there is no such exercise, or `output` exists
void hand_out(int number, const std::filesystem::path& stubs, const std::filesystem::path& output);

}  // namespace qlora::grader

// Where a result comes from: commit, build, machine.
#pragma once

#include <string>

#include "core/json.h"

namespace qlora {

/// What a result was computed by.
struct Provenance {
  std::string commit;      ///< "72b3df5c01aa", "…-dirty" with changes, "unknown" outside git
  std::string build_type;  ///< "Release", with the sanitizers where there are some
  std::string compiler;    ///< "g++ 12.2.0"
  std::string processor;   ///< the model name in /proc/cpuinfo
  int threads = 0;         ///< that parallel_for uses
  std::string gpu;         ///< set by who uses one
  std::string units =
      {};  ///< "nf4 from chapters/03_nf4/exercise": the learner's, of QLORA_MY_UNITS
};

/// That of this process, without a GPU.
Provenance provenance();

/// "commit 72b3df5c01aa, Release, g++ 12.2.0, Intel(R) Xeon(R) …, 2 threads", the GPU if any, and
/// ", units: …" where some are the learner's.
std::string one_line(const Provenance& p);

/// {commit, build_type, compiler, processor, threads}, gpu, which is null where none is used, and
/// units where some are the learner's.
Json json(const Provenance& p);

/// What --json FILE writes: an executable's results, with its provenance as a member of that name.
/// Nothing where `path` is empty. @throws BadInput if the file cannot be written
void write_results(const std::string& path, Json results);

}  // namespace qlora

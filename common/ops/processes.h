// The processes of a data-parallel run: how they meet, and sums over all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/connection.h"
#include "core/tensor.h"

namespace qlora {

/// One process's place among those of a run.
struct ProcessPlace {
  int rank = 0;        ///< 0 … size−1; 0 logs and saves
  int size = 1;        ///< processes of the run
  int local_rank = 0;  ///< among those of this host: the index of its GPU
  std::string host;    ///< where process 0 is to be met
  int port = 0;        ///< likewise
  int listener = -1;   ///< of process 0: a socket that already listens there, or -1
};

/// All processes of a run, seen from one of them. Every process makes the same calls in the same
/// order. On the CPU sums go through process 0, over TCP; on GPUs they are NCCL's.
class Processes {
 public:
  /// One process alone.
  Processes();
  /// Meets the others: process 0 listens, the others connect to it, each says who it is.
  /// @throws MachineLacks naming those that are missing after `patience`
  explicit Processes(const ProcessPlace& place,
                     std::chrono::seconds patience = std::chrono::seconds(300));
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  /// 0 … size−1.
  int rank() const { return place_.rank; }
  /// Processes of the run.
  int size() const { return place_.size; }
  /// Whether this is the one that logs and saves.
  bool is_first() const { return place_.rank == 0; }

  /// Each tensor becomes Σ over all processes of theirs, with the same bits in every process.
  /// float32 or float64, all on one device; on a GPU in the order of its stream.
  /// @throws MachineLacks where another process is gone, or NCCL is not there
  void sum(std::span<const Tensor> tensors);

  /// The largest of the values that the processes have.
  std::int64_t largest(std::int64_t value) const;

 private:
  class Gpus;
  void meet_others(Deadline deadline);
  void meet_first(Deadline deadline);
  void sum_on_host(const Tensor& tensor);

  ProcessPlace place_;
  std::vector<Connection> others_;  // of process 0: to 1, 2, …; of every other: to 0
  std::unique_ptr<Gpus> gpus_;      // made by the first sum on a GPU
};

}  // namespace qlora

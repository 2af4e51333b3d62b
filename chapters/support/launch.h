// Data-parallel runs: who starts their processes, and what each knows of the others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "ops/processes.h"

namespace qlora {

/// The place that a launcher has given this process in its environment: torchrun (RANK, WORLD_SIZE,
/// LOCAL_RANK, MASTER_ADDR, MASTER_PORT), mpirun of Open MPI or MPICH, srun of SLURM; these two
/// name no host where all processes are on one, and none but MASTER_ADDR does else. A launcher that
/// says no local rank has another's that says the same place: srun --mpi=pmi2 sets PMI_RANK, and
/// SLURM_LOCALID beside it. Nothing without one.
/// @throws UsageError where the variables contradict each other, or MASTER_ADDR is missing
std::optional<ProcessPlace> place_in_environment();

/// Whether so many processes can share a step on this host.
/// @param gpus  that are here, one for each; 0: the processes compute on the CPU
/// @throws MachineLacks where there are fewer GPUs; UsageError above 64 processes on the CPU
void check_processes(std::int64_t count, int gpus);

/// Runs this program `count` times on this host, if check_processes() lets it, each with the same
/// arguments and torchrun's variables, and waits for all. What the first prints is seen; of the
/// others, what the one said that failed. SIGINT and SIGTERM go on to all of them; where one fails,
/// the rest is ended.
/// @return the exit code: of the process that failed first, or 0
int launch_processes(std::int64_t count, int gpus);

/// This process among those of its run, all of which it has met; alone without a place. One that is
/// not the first prints nothing from here on.
/// @param wanted  --num-processes; 0: whatever the launcher says
/// @throws UsageError where the launcher has started another number; MachineLacks as Processes
std::unique_ptr<Processes> meet_processes(const std::optional<ProcessPlace>& place,
                                          std::int64_t wanted);

}  // namespace qlora

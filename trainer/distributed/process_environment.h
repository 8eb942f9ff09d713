// Which process of a training run this one is, from the environment variables
// that launchers set. No LibTorch.
#ifndef DDGAN_TRAINER_DISTRIBUTED_PROCESS_ENVIRONMENT_H_
#define DDGAN_TRAINER_DISTRIBUTED_PROCESS_ENVIRONMENT_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace ddgan {

struct ProcessEnvironment {
  // This process's number among all. [0, size)
  int rank = 0;
  // Processes of the run, on all machines. [1, 4096]
  int size = 1;
  // This process's number on its machine; picks the GPU. [0, size)
  int local_rank = 0;
  // Host name or IP address of the machine of rank 0, as every process,
  // rank 0 included, reaches it. Empty only if size is 1.
  std::string master_address;
  // TCP port on which rank 0 or its launcher listens. [1, 65535]; 0 only if
  // size is 1.
  int master_port = 0;
  // Set if the launcher itself keeps a store at the master's port, in which all
  // processes are clients: what this run's keys there begin with. Not set: rank
  // 0 keeps the store.
  std::optional<std::string> launcher_store_prefix;
};

// The value of an environment variable, nullopt if it is not set.
using EnvironmentReader =
    absl::FunctionRef<std::optional<std::string>(const char* name)>;

// Reads the variables of the first launcher in this list that left its own; a
// variable set to nothing counts as not set.
//
//   torchrun, or by hand   RANK
//   Kubernetes Indexed Job JOB_COMPLETION_INDEX as the rank
//   srun of Slurm          SLURM_PROCID as the rank, SLURM_STEP_NUM_TASKS as
//                          the size, SLURM_LOCALID as the local rank
//
// The first two take the size from WORLD_SIZE and the local rank from
// LOCAL_RANK (0 if not set). With more than one process, MASTER_ADDR and
// MASTER_PORT must be set, which neither Kubernetes nor Slurm does by itself.
// With none of these variables the run is this one process. torchrun says by
// TORCHELASTIC_USE_AGENT_STORE=True that it keeps a store; since that outlives
// restarts, keys begin with TORCHELASTIC_RUN_ID and TORCHELASTIC_RESTART_COUNT.
//
// InvalidArgument, naming the variable, its value and what is allowed, if a
// value is out of range or no number, or if only some of them are set.
absl::StatusOr<ProcessEnvironment> ReadProcessEnvironment(
    EnvironmentReader read);

// An EnvironmentReader for the process's own environment. Not to be called
// while another thread changes it.
std::optional<std::string> ReadEnvironmentVariable(const char* name);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DISTRIBUTED_PROCESS_ENVIRONMENT_H_

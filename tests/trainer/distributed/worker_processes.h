// Starts distributed_worker several times as the processes of one group, the
// way a launcher does, and collects what they say.
#ifndef DDGAN_TESTS_TRAINER_DISTRIBUTED_WORKER_PROCESSES_H_
#define DDGAN_TESTS_TRAINER_DISTRIBUTED_WORKER_PROCESSES_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace ddgan {

// A TCP port of loopback that is free now.
int FreePort();

struct WorkerResult {
  // As of waitpid.
  int wait_status = 0;
  // stdout and stderr together.
  std::string output;

  bool Succeeded() const;
};

// Not thread-safe.
class WorkerProcess {
 public:
  // Starts `scenario` as rank `rank` of `size`. Ends the program if it cannot.
  // `variables`, NAME=value, join its environment.
  WorkerProcess(const std::string& scenario, int rank, int size, int port,
                std::vector<std::string> variables = {});
  // Kills and reaps it if nobody has waited for it.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  // Blocks until it has ended.
  WorkerResult Wait();

 private:
  pid_t pid_;
  int output_;
};

// All ranks of one group, started together; returns when all have ended.
std::vector<WorkerResult> RunWorkers(const std::string& scenario, int size);
std::vector<WorkerResult> RunWorkers(const std::string& scenario, int size,
                                     int port,
                                     const std::vector<std::string>& variables);

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_DISTRIBUTED_WORKER_PROCESSES_H_

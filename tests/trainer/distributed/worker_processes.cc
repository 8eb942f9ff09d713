#include "tests/trainer/distributed/worker_processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace ddgan {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
  std::abort();
}

}  // namespace

int FreePort() {
  // Stays open, so that nobody else is given the port. A listener with
  // SO_REUSEADDR does not mind.
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  Require(
      fd >= 0 &&
          setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
          bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
          getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0,
      "no free port");
  return ntohs(address.sin_port);
}

bool WorkerResult::Succeeded() const {
  return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
}

WorkerProcess::WorkerProcess(const std::string& scenario, int rank, int size,
                             int port, std::vector<std::string> variables) {
  int ends[2];
  Require(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  output_ = ends[0];
  variables.insert(
      variables.end(),
      {"RANK=" + std::to_string(rank), "WORLD_SIZE=" + std::to_string(size),
       "LOCAL_RANK=" + std::to_string(rank), "MASTER_ADDR=127.0.0.1",
       "MASTER_PORT=" + std::to_string(port),
       // Many small processes at once: none needs threads of its own.
       "OMP_NUM_THREADS=1"});
  // What the sanitizers' settings need.
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "PATH"}) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    variables.push_back(std::string(name) + "=" + value);
  }
  std::vector<char*> environment;
  for (std::string& variable : variables) {
    environment.push_back(variable.data());
  }
  environment.push_back(nullptr);
  std::string program = DDGAN_DISTRIBUTED_WORKER;
  std::string argument = scenario;
  char* arguments[] = {program.data(), argument.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  errno = posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments,
                      environment.data());
  Require(errno == 0, DDGAN_DISTRIBUTED_WORKER);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
}

WorkerProcess::~WorkerProcess() {
  if (pid_ != 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(output_);
}

WorkerResult WorkerProcess::Wait() {
  WorkerResult result;
  char buffer[4096];
  ssize_t count;
  while ((count = read(output_, buffer, sizeof(buffer))) > 0) {
    result.output.append(buffer, count);
  }
  Require(waitpid(pid_, &result.wait_status, 0) == pid_, "waitpid");
  pid_ = 0;
  return result;
}

std::vector<WorkerResult> RunWorkers(const std::string& scenario, int size) {
  return RunWorkers(scenario, size, FreePort(), {});
}

std::vector<WorkerResult> RunWorkers(
    const std::string& scenario, int size, int port,
    const std::vector<std::string>& variables) {
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int rank = 0; rank < size; ++rank) {
    workers.push_back(
        std::make_unique<WorkerProcess>(scenario, rank, size, port, variables));
  }
  std::vector<WorkerResult> results;
  for (const auto& worker : workers) results.push_back(worker->Wait());
  return results;
}

}  // namespace ddgan

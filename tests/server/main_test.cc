// The program ddgan-server with a fake engine, as a process: flags,
// environment, signals, exit codes.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/temporary_folder.h"
#include "tests/server/notify_socket.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A ddgan-server whose stdout and stderr the test reads as one stream.
class Process {
 public:
  // `ignored` is a signal that it is started with the wish to ignore.
  explicit Process(std::vector<std::string> arguments, int ignored = 0) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    std::vector<char*> argv = {const_cast<char*>("ddgan-server")};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (ignored != 0) signal(ignored, SIG_IGN);  // Which it inherits.
    // Not fork: this process has gRPC's threads.
    EXPECT_EQ(posix_spawn(&pid_, DDGAN_SERVER_WITH_FAKE_ENGINE, &actions,
                          nullptr, argv.data(), environ),
              0);
    if (ignored != 0) signal(ignored, SIG_DFL);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    output_ = fdopen(ends[0], "r");
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    fclose(output_);
  }

  pid_t pid() const { return pid_; }

  // Reads up to the first line that contains `wanted`, and returns all lines so
  // far; up to the end if no line does.
  std::string ReadUntil(const std::string& wanted) {
    char line[4096];
    while (fgets(line, sizeof(line), output_) != nullptr) {
      read_ += line;
      if (absl::StrContains(line, wanted)) break;
    }
    return read_;
  }
  std::string ReadToEnd() { return ReadUntil("\nnever"); }

  int WaitForExit() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  FILE* output_ = nullptr;
  std::string read_;
};

class MainTest : public ::testing::Test {
 protected:
  std::vector<std::string> ServeFlags() const {
    return {absl::StrCat("--model_root=", folder_.path().string()),
            "--listen=127.0.0.1:0", "--http=127.0.0.1:0",
            absl::StrCat("--port_file=", port_file())};
  }
  std::string port_file() const {
    return (folder_.path() / "ports.json").string();
  }
  int GrpcPort() const {
    return nlohmann::json::parse(ReadBytes(port_file()))["grpc_port"];
  }

  const TemporaryFolder folder_;
};

TEST_F(MainTest, ServesAndExitsWithZeroOnEverySignalToStop) {
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) {
    Process server(ServeFlags());
    server.ReadUntil("serving gRPC");
    const auto stub = v1::ImageGeneration::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", GrpcPort()),
                            grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::GenerateRequest request;
    request.set_count(1);
    v1::GenerateResponse response;
    EXPECT_TRUE(stub->Generate(&context, request, &response).ok());
    kill(server.pid(), signal);
    EXPECT_THAT(server.ReadToEnd(),
                AllOf(HasSubstr("draining"), HasSubstr("stopped")));
    EXPECT_EQ(server.WaitForExit(), 0);
  }
}

TEST_F(MainTest, OutlivesTheTerminalUnderNohup) {
  Process server(ServeFlags(), /*ignored=*/SIGHUP);
  server.ReadUntil("serving gRPC");
  kill(server.pid(), SIGHUP);
  kill(server.pid(), SIGTERM);
  EXPECT_THAT(server.ReadToEnd(),
              AllOf(HasSubstr("Terminated: draining"), HasSubstr("stopped"),
                    Not(HasSubstr("Hangup"))));
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_F(MainTest, ASecondSignalEndsADrainAtOnce) {
  std::vector<std::string> flags = ServeFlags();
  flags.push_back("--drain_delay=10m");
  Process server(flags);
  server.ReadUntil("serving gRPC");
  kill(server.pid(), SIGTERM);
  server.ReadUntil("draining");
  kill(server.pid(), SIGTERM);
  EXPECT_THAT(server.ReadToEnd(), HasSubstr("stopped with work unfinished"));
  EXPECT_EQ(server.WaitForExit(), 1);
}

TEST_F(MainTest, EveryLogLineIsAJsonObjectIfSoAsked) {
  std::vector<std::string> flags = ServeFlags();
  flags.push_back("--log_format=json");
  flags.push_back("--log_level=debug");
  Process server(flags);
  server.ReadUntil("serving gRPC");
  kill(server.pid(), SIGTERM);
  std::istringstream lines(server.ReadToEnd());
  EXPECT_EQ(server.WaitForExit(), 0);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto object =
        nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(object.is_object() && object.contains("message")) << line;
  }
  EXPECT_GE(count, 4);
}

TEST_F(MainTest, SaysInOneLineThatAPortIsInUse) {
  Process first(ServeFlags());
  first.ReadUntil("serving gRPC");
  const int port = GrpcPort();
  Process second({absl::StrCat("--model_root=", folder_.path().string()),
                  absl::StrCat("--listen=127.0.0.1:", port),
                  "--http=127.0.0.1:0"});
  EXPECT_THAT(second.ReadToEnd(),
              HasSubstr(absl::StrCat("cannot serve: --listen=127.0.0.1:", port,
                                     ": port ", port,
                                     " is in use by another process\n")));
  EXPECT_EQ(second.WaitForExit(), 1);
}

TEST_F(MainTest, SaysInOneLineThatTheModelRootIsAbsent) {
  std::vector<std::string> flags = ServeFlags();
  flags[0] = "--model_root=/nowhere/models";
  Process server(flags);
  EXPECT_THAT(
      server.ReadToEnd(),
      HasSubstr("cannot serve: model root /nowhere/models is absent\n"));
  EXPECT_EQ(server.WaitForExit(), 1);
}

TEST_F(MainTest, SaysInOneLineWhatIsWrongWithAFlag) {
  Process server({"--model_root=m", "--max_batch_size=0"});
  EXPECT_EQ(server.ReadToEnd(),
            "ddgan-server: --max_batch_size is 0, must be a list of whole "
            "numbers in [1, 256] (from the command line)\n");
  EXPECT_EQ(server.WaitForExit(), 2);
}

TEST_F(MainTest, TellsTheServiceManagerThatItServesAndStops) {
  const std::string name = (folder_.path() / "notify").string();
  const NotifySocket socket(name);
  std::vector<std::string> flags = ServeFlags();
  flags.push_back("--drain_timeout=2s");
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  Process server(flags);
  unsetenv("NOTIFY_SOCKET");
  const std::string ready = socket.Receive();
  EXPECT_EQ(ready,
            absl::StrCat("READY=1\nSTATUS=Serving gRPC on port ", GrpcPort()));
  kill(server.pid(), SIGTERM);
  // What the watchdog allows on top of --drain_timeout is 12 s.
  EXPECT_THAT(socket.Receive(),
              AllOf(HasSubstr("STOPPING=1\n"),
                    HasSubstr("EXTEND_TIMEOUT_USEC=14000000")));
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_F(MainTest, ServesAlsoIfTheServiceManagerCannotBeTold) {
  setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
  Process server(ServeFlags());
  unsetenv("NOTIFY_SOCKET");
  EXPECT_THAT(server.ReadUntil("cannot tell"),
              HasSubstr("cannot tell the service manager at /nowhere/notify"));
  kill(server.pid(), SIGTERM);
  server.ReadToEnd();
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_F(MainTest, PrintsHelpAndVersion) {
  Process help({"--help"});
  EXPECT_THAT(help.ReadToEnd(), HasSubstr("usage: ddgan-server"));
  EXPECT_EQ(help.WaitForExit(), 0);
  Process version({"--version"});
  EXPECT_THAT(version.ReadToEnd(), HasSubstr("ddgan-server "));
  EXPECT_EQ(version.WaitForExit(), 0);
}

}  // namespace
}  // namespace ddgan

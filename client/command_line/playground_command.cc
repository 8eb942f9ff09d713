#include "client/command_line/playground_command.h"

#include <signal.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/command_line/command_options.h"
#include "client/playground/playground.h"
#include "engine/base/process_signals.h"

namespace ddgan {
namespace {

constexpr char kPage[] = "Page";

constexpr char kAbout[] =
    R"(Serves a page on this machine, for a browser, in which images are made step by
step, strokes become pictures while they are drawn, and two versions are seen
side by side. Prints the page's address, which holds a secret: whoever has it
can use the page. Ctrl-C ends it.

The page talks to this program, and this program to the server, with the flags
below; the token, if there is one, does not reach the browser. On another
machine, bring the port here and open the address as it is printed:

  ssh -t -L 8080:127.0.0.1:8080 HOST ddgan playground --port=8080
)";

// Those that end the program and that it was not told to ignore.
sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) {
    if (!IsIgnored(signal)) sigaddset(&signals, signal);
  }
  return signals;
}

}  // namespace

absl::StatusOr<Command> ParsePlayground(const CommandInput& input) {
  PlaygroundCommand command;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      CommandProgram("playground", {"[flags]"}, kAbout),
      Joined({{{"port", kPage, "PORT", &command.port, Between(0, 65535),
                "port of the page, on 127.0.0.1 alone; 0 lets the system "
                "choose"}},
              ConnectionRows(&command.address, &command.security)}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  if (!parsed->text.empty()) return HelpCommand{parsed->text};
  if (absl::Status s =
          CheckConnectionSecurity(command.address, command.security);
      !s.ok()) {
    return s;
  }
  return command;
}

int RunPlayground(const PlaygroundCommand& command, std::ostream& out,
                  std::ostream& err) {
  const sigset_t signals = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const absl::StatusOr<std::unique_ptr<playground::Playground>> page =
      playground::Playground::Start({.address = command.address,
                                     .security = command.security,
                                     .port = command.port});
  if (!page.ok()) {
    err << "ddgan: " << page.status().message() << '\n';
    return 1;
  }
  // Flushed, for whoever reads it through a pipe.
  out << "The playground, until Ctrl-C:\n  " << (*page)->url() << std::endl;
  int signal = 0;
  sigwait(&signals, &signal);
  return 0;
}

}  // namespace ddgan

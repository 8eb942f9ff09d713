// `ddgan bench`: what a server does under load.
#ifndef DDGAN_CLIENT_COMMAND_LINE_BENCH_COMMAND_H_
#define DDGAN_CLIENT_COMMAND_LINE_BENCH_COMMAND_H_

#include <cstdio>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "client/command_line/command_line.h"
#include "client/load_generator/load_run.h"

namespace ddgan {

// "[======>             ] 20.1 s, 402 ok, 3 refused, 0 failed, 12 outstanding".
// Refused counts unsent calls, failed counts unanswered ones. Pure.
std::string FormatLoadProgress(const LoadOptions& options,
                               const LoadProgress& progress,
                               absl::Duration elapsed);

// Measures stand-alone latencies, makes the run, and prints its report to `out`
// and its JSON and its calls to files; to `err` what went wrong. Meanwhile it
// draws its progress on `terminal` unless that is nullptr. During the run
// SIGINT ends it early; the second one ends the process.
// Returns the exit code: 0 whatever the server did in the run; 1 if a
// stand-alone call failed, an image had other bytes than before, or a file
// cannot be written.
int RunBench(const BenchCommand& command, std::ostream& out, std::ostream& err,
             std::FILE* terminal);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_BENCH_COMMAND_H_

#include "client/command_line/bench_command.h"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/command_line/failure_report.h"
#include "client/command_line/output_files.h"
#include "client/command_line/progress_line.h"
#include "client/image_client.h"
#include "client/load_generator/call_record.h"
#include "client/load_generator/load_report.h"
#include "client/load_generator/standalone_latency.h"

namespace ddgan {
namespace {

absl::StatusOr<std::map<uint32_t, absl::Duration>> MeasureStandalone(
    const std::shared_ptr<grpc::Channel>& channel, const LoadOptions& options,
    std::FILE* terminal) {
  ImageClient::Options client_options;
  client_options.timeout = options.timeout;
  client_options.retry.max_attempts = 1;
  const ImageClient client(channel, client_options);
  ProgressLine progress(terminal, StandaloneImages(options));
  return MeasureStandaloneLatency(
      client, options, [&](uint32_t images) { progress.Advance(images); });
}

// The run that SIGINT stops, while there is one.
std::atomic<LoadRun*> interruptible = nullptr;

extern "C" void StopRun(int) {
  std::signal(SIGINT, SIG_DFL);
  if (LoadRun* const run = interruptible) run->Stop();
}

// `run` until SIGINT, the next of which is as it was.
LoadReport RunInterruptibly(LoadRun* run) {
  interruptible = run;
  auto* const before = std::signal(SIGINT, &StopRun);
  LoadReport report = run->Run();
  std::signal(SIGINT, before);
  interruptible = nullptr;
  return report;
}

}  // namespace

std::string FormatLoadProgress(const LoadOptions& options,
                               const LoadProgress& progress,
                               absl::Duration elapsed) {
  const CallCounts& calls = progress.calls;
  uint64_t done = calls.scheduled;
  uint64_t total = options.calls;
  if (options.calls == 0) {
    done = static_cast<uint64_t>(absl::ToInt64Milliseconds(elapsed));
    total = static_cast<uint64_t>(
        absl::ToInt64Milliseconds(options.warmup + options.duration));
  }
  return absl::StrCat(
      ProgressBar(done, total, kProgressBarWidth),
      absl::StrFormat(" %.1f s, ", absl::ToDoubleSeconds(elapsed)), calls.ok,
      " ok, ", calls.refused + calls.unsent, " refused, ",
      calls.failed + calls.unanswered, " failed, ", progress.outstanding,
      " outstanding");
}

int RunBench(const BenchCommand& command, std::ostream& out, std::ostream& err,
             std::FILE* terminal) {
  const auto failed = [&err](const absl::Status& status) {
    err << "ddgan: " << status.message() << '\n';
    return 1;
  };
  // What cannot be written is better known now than after the run.
  const bool json_to_file = !command.json.empty() && command.json != "-";
  if (json_to_file) {
    if (absl::Status s = CheckFileWritable(command.json); !s.ok())
      return failed(s);
  }
  if (!command.record.empty()) {
    if (absl::Status s = CheckFileWritable(command.record); !s.ok())
      return failed(s);
  }
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> opened_channel =
      CreateLoadChannel(command.address, command.security);
  if (!opened_channel.ok()) return failed(opened_channel.status());
  const std::shared_ptr<grpc::Channel>& channel = *opened_channel;
  const absl::StatusOr<std::map<uint32_t, absl::Duration>> standalone =
      MeasureStandalone(channel, command.load, terminal);
  if (!standalone.ok()) {
    err << "ddgan: " << DescribeFailure(standalone.status(), command.address)
        << '\n';
    return 1;
  }

  // Only now: with no server there the last run's stays.
  std::unique_ptr<CallRecorder> recorder;
  if (!command.record.empty()) {
    absl::StatusOr<std::unique_ptr<CallRecorder>> opened =
        CallRecorder::Open(command.record);
    if (!opened.ok()) return failed(opened.status());
    recorder = *std::move(opened);
  }

  LoadReport report;
  {
    LoadRun run(channel, command.load, *standalone, recorder.get());
    const ProgressLine progress(terminal, [&](absl::Duration elapsed) {
      return FormatLoadProgress(command.load, run.progress(), elapsed);
    });
    report = RunInterruptibly(&run);
  }
  report.server = command.address;

  (command.json == "-" ? err : out) << ReportText(report);
  if (command.json == "-") out << ReportJson(report);
  if (json_to_file) {
    if (absl::Status s = WriteFile(command.json, ReportJson(report)); !s.ok())
      return failed(s);
  }
  if (recorder != nullptr) {
    if (absl::Status s = recorder->Close(); !s.ok()) return failed(s);
  }
  return report.verify.has_value() && report.verify->mismatches > 0 ? 1 : 0;
}

}  // namespace ddgan

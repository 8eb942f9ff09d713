#include "client/command_line/generate_command.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/command_line/failure_report.h"
#include "client/command_line/guide_file.h"
#include "client/command_line/image_writer.h"
#include "client/command_line/output_files.h"
#include "client/command_line/progress_line.h"
#include "client/format_name.h"
#include "client/image_client.h"
#include "client/repeat_command.h"
#include "client/secure_channel.h"

namespace ddgan {
namespace {

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

std::string Milliseconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(1)));
}

// What the replies have in common, and their times added up.
struct Summary {
  std::string model;
  int64_t version = 0;
  std::string digest;
  uint64_t seed = 0;
  uint32_t num_timesteps = 0;
  uint32_t steps_per_image = 0;  // Without a guide.
  v1::ImageShape shape;
  absl::Duration queue;
  absl::Duration steps;
  absl::Duration encode;
  uint32_t previews_received = 0;
  uint32_t previews_dropped = 0;

  // `Reply` is GenerateResponse or StreamAccepted.
  template <typename Reply>
  void AddHeader(const Reply& reply) {
    model = reply.model();
    version = reply.version();
    digest = reply.checkpoint_digest();
    seed = reply.seed();
    num_timesteps = reply.num_timesteps();
    // An earlier server does not say; its models take T.
    steps_per_image =
        reply.evaluations() > 0 ? reply.evaluations() : num_timesteps;
    shape = reply.shape();
  }

  void AddTimings(const v1::GenerateTimings& timings) {
    queue += ToDuration(timings.queue());
    steps += ToDuration(timings.steps());
    encode += ToDuration(timings.encode());
  }
};

std::string CommandToRepeat(const GenerateCommand& command,
                            const Summary& summary) {
  const v1::GenerateRequest& request = command.request;
  return CommandToRepeat(RepeatedImages{
      .address = command.server.address,
      .security = command.server.security,
      .model = summary.model,
      .version = summary.version,
      .seed = summary.seed,
      .count = command.count,
      .first_index = request.first_index(),
      .guide_file = command.guide_file,
      .guide_steps = request.guide().steps(),
      .resize_guide = request.guide().fit() == v1::GUIDE_FIT_RESIZE,
      .grid = command.grid,
      .format = FormatName(request.format()),
      .out = command.out});
}

// One run of the command: where images go, and what is known so far.
struct Run {
  const GenerateCommand& command;
  const v1::GenerateRequest& request;
  ImageWriter* const writer;
  ProgressLine* progress = nullptr;  // Set while a call is under way.
  Summary summary;
  absl::Status written;  // Apart from the call's: the advice for it is another.
};

absl::Status CallForReplies(const ImageClient& client, Run* run) {
  return client.GenerateInParts(
      run->request, run->command.count,
      [run](const v1::GenerateResponse& part) {
        run->summary.AddHeader(part);
        run->summary.AddTimings(part.timings());
        for (const v1::GeneratedImage& image : part.images()) {
          run->written = run->writer->Add(image, part.shape());
          if (!run->written.ok()) break;
        }
        run->progress->Advance(static_cast<uint32_t>(part.images_size()));
        return run->written;
      });
}

absl::Status CallForStream(const ImageClient& client, Run* run) {
  v1::GenerateStreamRequest request;
  *request.mutable_request() = run->request;
  request.set_previews(run->command.previews);
  const bool guided = run->request.has_guide();
  const auto steps_per_image = [&] {
    return guided ? run->request.guide().steps() : run->summary.steps_per_image;
  };
  uint64_t steps_done = 0;
  // Of each image that is under way, the steps that its previews have shown.
  std::map<uint32_t, uint32_t> steps_of;
  const auto advance_steps = [&](uint32_t index, uint32_t steps) {
    uint32_t& before = steps_of[index];
    // A server that lost a device begins an image again.
    steps_done += std::max(before, steps) - before;
    before = std::max(before, steps);
    run->progress->SetSteps(steps_done,
                            uint64_t{run->command.count} * steps_per_image());
  };

  ImageClient::StreamCallbacks callbacks;
  callbacks.on_accepted = [&](const v1::StreamAccepted& accepted) {
    run->summary.AddHeader(accepted);
    return true;
  };
  callbacks.on_preview = [&](const v1::StreamPreview& preview) {
    ++run->summary.previews_received;
    const uint32_t total = steps_per_image();
    advance_steps(preview.index(), total - std::min(preview.step(), total));
    if (!run->command.preview_dir.empty()) {
      run->written =
          WriteFile(PreviewPath(run->command.preview_dir, run->summary.seed,
                                preview.index(), preview.step(),
                                FormatName(run->request.format())),
                    preview.data());
    }
    return run->written.ok();
  };
  callbacks.on_image = [&](const v1::GeneratedImage& image) {
    run->written = run->writer->Add(image, run->summary.shape);
    if (run->command.previews) {
      advance_steps(image.index(), steps_per_image());
      steps_of.erase(image.index());
    }
    run->progress->Advance(1);
    return run->written.ok();
  };
  callbacks.on_summary = [&](const v1::StreamSummary& stream) {
    run->summary.AddTimings(stream.timings());
    run->summary.previews_dropped += stream.previews_dropped();
  };
  return client.GenerateStreamInParts(request, run->command.count, callbacks);
}

}  // namespace

int RunGenerate(const GenerateCommand& command, std::ostream& out,
                std::ostream& err, std::FILE* terminal) {
  const absl::StatusOr<std::unique_ptr<ImageWriter>> writer =
      CreateImageWriter(command, out);
  if (!writer.ok()) {
    err << "ddgan: " << writer.status().message() << '\n';
    return 1;
  }
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel =
      OpenChannel(command.server.address, command.server.security);
  if (!channel.ok()) {
    err << "ddgan: " << channel.status().message() << '\n';
    return 1;
  }
  v1::GenerateRequest request = command.request;
  if (command.grid) request.set_format(v1::OUTPUT_FORMAT_RAW8);
  if (!command.guide_file.empty()) {
    absl::StatusOr<std::string> png = ReadGuideFile(command.guide_file);
    if (!png.ok()) {
      err << "ddgan: " << png.status().message() << '\n';
      return 1;
    }
    request.mutable_guide()->set_png(*std::move(png));
  }

  Run run{.command = command,
          .request = request,
          .writer = writer->get(),
          .progress = nullptr,
          .summary = {},
          .written = {}};
  absl::Status called;
  const absl::Time start = absl::Now();
  {
    ProgressLine progress(terminal, command.count);
    run.progress = &progress;
    ImageClient::Options options;
    options.timeout = command.server.timeout;
    options.on_retry = [&](const absl::Status& failure, absl::Duration delay) {
      progress.Print(
          err, absl::StrCat("ddgan: ", absl::StatusCodeToString(failure.code()),
                            ": ", failure.message(), "; trying again in ",
                            Milliseconds(delay)));
    };
    const ImageClient client(*channel, options);
    called = command.stream ? CallForStream(client, &run)
                            : CallForReplies(client, &run);
  }
  const absl::Duration elapsed = absl::Now() - start;
  if (run.written.ok() && !called.ok()) {
    err << "ddgan: " << DescribeFailure(called, command.server.address) << '\n';
    return 1;
  }
  const absl::StatusOr<std::string> where =
      run.written.ok() ? run.writer->Finish() : run.written;
  if (!where.ok()) {
    err << "ddgan: " << where.status().message() << '\n';
    return 1;
  }

  const Summary& summary = run.summary;
  std::ostream& report = command.out == kStandardOutput ? err : out;
  report << *where << ": " << command.count << " x " << summary.shape.width()
         << 'x' << summary.shape.height()
         << (summary.shape.channels() == 1 ? " gray" : " RGB") << '\n'
         << "model " << summary.model << " version " << summary.version
         << ", seed " << summary.seed << ", first index "
         << command.request.first_index() << ", T = " << summary.num_timesteps;
  const bool every_step = summary.steps_per_image == summary.num_timesteps;
  if (!every_step) {
    report << ", " << summary.steps_per_image
           << (summary.steps_per_image == 1 ? " evaluation" : " evaluations")
           << " per image";
  }
  report << '\n';
  if (!command.guide_file.empty()) {
    report << "guide " << command.guide_file << ", "
           << command.request.guide().steps() << " of the "
           << (every_step ? "T steps" : "evaluations") << '\n';
  }
  report << "checkpoint digest " << summary.digest << '\n'
         << "took " << Milliseconds(elapsed)
         << absl::StrFormat(" (%.1f images/s)",
                            command.count / absl::ToDoubleSeconds(elapsed))
         << "; in the server: queue " << Milliseconds(summary.queue)
         << ", steps " << Milliseconds(summary.steps) << ", encode "
         << Milliseconds(summary.encode) << '\n';
  if (command.previews) {
    report << "previews: " << summary.previews_received << " received, "
           << summary.previews_dropped << " dropped\n";
  }
  report << "again: " << CommandToRepeat(command, summary) << '\n';
  return 0;
}

}  // namespace ddgan

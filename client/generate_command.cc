#include "client/generate_command.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/failure_report.h"
#include "client/format_name.h"
#include "client/guide_file.h"
#include "client/image_client.h"
#include "client/image_grid.h"
#include "client/output_files.h"
#include "client/progress_line.h"

namespace ddgan {
namespace {

// Takes the images as they come. One call at a time.
class ImageWriter {
 public:
  virtual ~ImageWriter() = default;
  virtual absl::Status Add(const v1::GenerateResponse& part) = 0;
  // After the last part. Returns where the images are, for the summary.
  virtual absl::StatusOr<std::string> Finish() = 0;
};

class FilePerImageWriter final : public ImageWriter {
 public:
  explicit FilePerImageWriter(std::string pattern)
      : pattern_(std::move(pattern)) {}

  absl::Status Add(const v1::GenerateResponse& part) override {
    for (const v1::GeneratedImage& image : part.images()) {
      last_ = OutputPath(pattern_, image.index());
      if (first_.empty()) first_ = last_;
      if (absl::Status s = WriteFile(last_, image.data()); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Finish() override {
    return first_ == last_ ? first_ : absl::StrCat(first_, " to ", last_);
  }

 private:
  const std::string pattern_;
  std::string first_;
  std::string last_;
};

class GridWriter final : public ImageWriter {
 public:
  GridWriter(std::string path, uint32_t count)
      : path_(std::move(path)), count_(count) {}

  absl::Status Add(const v1::GenerateResponse& part) override {
    shape_ = part.shape();
    for (const v1::GeneratedImage& image : part.images()) {
      // Known at the first image: better now than after an hour.
      if (image.data().size() > kMaxGridBytes / count_) {
        return absl::InvalidArgumentError(absl::StrCat(
            count_, " images of ", shape_.width(), "x", shape_.height(),
            " are too many for one grid: leave --grid out"));
      }
      pixels_ += image.data();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Finish() override {
    const absl::StatusOr<GridPicture> grid = ArrangeGrid(pixels_, shape_);
    if (!grid.ok()) return grid.status();
    const absl::StatusOr<std::string> png = EncodePng(*grid);
    if (!png.ok()) return png.status();
    if (absl::Status s = WriteFile(path_, *png); !s.ok()) return s;
    return path_;
  }

 private:
  const std::string path_;
  const uint32_t count_;
  v1::ImageShape shape_;
  std::string pixels_;
};

absl::StatusOr<std::unique_ptr<ImageWriter>> CreateWriter(
    const GenerateCommand& command) {
  if (command.grid) {
    return std::make_unique<GridWriter>(
        command.out.empty() ? "ddgan-grid.png" : command.out, command.count);
  }
  const std::string extension = FormatName(command.request.format());
  const std::string out =
      command.out.empty() ? absl::StrCat("ddgan-%d.", extension) : command.out;
  std::error_code ignored;  // What cannot be looked at is no folder.
  const absl::StatusOr<std::string> pattern =
      OutputPattern(out, std::filesystem::is_directory(out, ignored),
                    command.count, extension);
  if (!pattern.ok()) return pattern.status();
  return std::make_unique<FilePerImageWriter>(*pattern);
}

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
  v1::ImageShape shape;
  absl::Duration queue;
  absl::Duration steps;
  absl::Duration encode;

  void Add(const v1::GenerateResponse& part) {
    model = part.model();
    version = part.version();
    digest = part.checkpoint_digest();
    seed = part.seed();
    num_timesteps = part.num_timesteps();
    shape = part.shape();
    queue += ToDuration(part.timings().queue());
    steps += ToDuration(part.timings().steps());
    encode += ToDuration(part.timings().encode());
  }
};

// For a POSIX shell.
std::string Quote(const std::string& word) {
  constexpr char kSafe[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
      "_-./%+,:@";
  if (!word.empty() && word.find_first_not_of(kSafe) == std::string::npos) {
    return word;
  }
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string CommandToRepeat(const GenerateCommand& command,
                            const Summary& summary) {
  std::string line = absl::StrCat(
      "ddgan generate --server=", Quote(command.server.address),
      " --model=", Quote(summary.model), " --version=", summary.version,
      " --seed=", summary.seed, " --count=", command.count);
  if (command.request.first_index() != 0) {
    absl::StrAppend(&line, " --first_index=", command.request.first_index());
  }
  if (!command.guide_file.empty()) {
    const v1::Guide& guide = command.request.guide();
    absl::StrAppend(&line, " --guide=", Quote(command.guide_file),
                    " --guide_steps=", guide.steps());
    if (guide.fit() == v1::GUIDE_FIT_RESIZE) {
      absl::StrAppend(&line, " --guide_fit=resize");
    }
  }
  if (command.grid) {
    absl::StrAppend(&line, " --grid");
  } else {
    absl::StrAppend(&line, " --format=", FormatName(command.request.format()));
  }
  if (!command.out.empty()) {
    absl::StrAppend(&line, " --out=", Quote(command.out));
  }
  return line;
}

}  // namespace

int RunGenerate(const GenerateCommand& command, std::ostream& out,
                std::ostream& err, std::FILE* terminal) {
  const absl::StatusOr<std::unique_ptr<ImageWriter>> writer =
      CreateWriter(command);
  if (!writer.ok()) {
    err << "ddgan: " << writer.status().message() << '\n';
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

  Summary summary;
  absl::Status written;  // Kept apart: the advice for it is another.
  absl::Status called;
  const absl::Time start = absl::Now();
  {
    ProgressLine progress(terminal, command.count);
    ImageClient::Options options;
    options.timeout = command.server.timeout;
    options.on_retry = [&](const absl::Status& failure, absl::Duration delay) {
      progress.Print(
          err, absl::StrCat("ddgan: ", absl::StatusCodeToString(failure.code()),
                            ": ", failure.message(), "; trying again in ",
                            Milliseconds(delay)));
    };
    const ImageClient client(command.server.address, options);
    called = client.GenerateInParts(
        request, command.count, [&](const v1::GenerateResponse& part) {
          summary.Add(part);
          written = (*writer)->Add(part);
          progress.Advance(static_cast<uint32_t>(part.images_size()));
          return written;
        });
  }
  const absl::Duration elapsed = absl::Now() - start;
  if (written.ok() && !called.ok()) {
    err << "ddgan: " << DescribeFailure(called, command.server.address) << '\n';
    return 1;
  }
  const absl::StatusOr<std::string> where =
      written.ok() ? (*writer)->Finish() : written;
  if (!where.ok()) {
    err << "ddgan: " << where.status().message() << '\n';
    return 1;
  }

  out << *where << ": " << command.count << " x " << summary.shape.width()
      << 'x' << summary.shape.height()
      << (summary.shape.channels() == 1 ? " gray" : " RGB") << '\n'
      << "model " << summary.model << " version " << summary.version
      << ", seed " << summary.seed << ", first index "
      << command.request.first_index() << ", T = " << summary.num_timesteps
      << '\n';
  if (!command.guide_file.empty()) {
    out << "guide " << command.guide_file << ", "
        << command.request.guide().steps() << " of the T steps\n";
  }
  out << "checkpoint digest " << summary.digest << '\n'
      << "took " << Milliseconds(elapsed)
      << absl::StrFormat(" (%.1f images/s)",
                         command.count / absl::ToDoubleSeconds(elapsed))
      << "; in the server: queue " << Milliseconds(summary.queue) << ", steps "
      << Milliseconds(summary.steps) << ", encode "
      << Milliseconds(summary.encode) << '\n'
      << "again: " << CommandToRepeat(command, summary) << '\n';
  return 0;
}

}  // namespace ddgan

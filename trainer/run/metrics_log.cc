#include "trainer/run/metrics_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "engine/base/durable_file.h"
#include "engine/base/folder.h"
#include "engine/base/strict_json.h"
#include "nlohmann/json.hpp"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

void AppendNumber(const char* key, double value, std::string* line) {
  absl::StrAppend(line, ",\"", key, "\":");
  if (std::isfinite(value)) {
    absl::StrAppendFormat(line, "%.17g", value);
  } else {
    absl::StrAppend(line, "null");
  }
}

void AppendNumber(const char* key, std::optional<double> value,
                  std::string* line) {
  if (value) AppendNumber(key, *value, line);
}

// The step of a line (without its line break) that a trainer wrote.
std::optional<int64_t> StepOf(std::string_view line) {
  if (line.size() >= MetricsLog::kMaxLineBytes) return std::nullopt;
  const absl::StatusOr<nlohmann::json> json = ParseStrictJson(line);
  if (!json.ok() || !json->is_object()) return std::nullopt;
  const auto step = json->find("step");
  if (step == json->end() || !step->is_number_integer()) return std::nullopt;
  // An unsigned number may be beyond int64.
  if (step->is_number_unsigned() &&
      step->get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) {
    return std::nullopt;
  }
  const int64_t value = step->get<int64_t>();
  if (value < 1) return std::nullopt;
  return value;
}

// Leaves the lines of steps up to `step`, in place. False if there are bytes
// but no line of ours among them, other than one that was torn.
bool KeepLines(int64_t step, std::string* text) {
  size_t kept = 0;
  int64_t last_step = 0;
  bool ours = false;
  size_t begin = 0;
  while (begin < text->size()) {
    const size_t end = text->find('\n', begin);
    if (end == std::string::npos) {
      // The first line of all, torn.
      const size_t length = text->size() - begin;
      ours = ours || (begin == 0 && length < MetricsLog::kMaxLineBytes);
      break;
    }
    const size_t size = end + 1 - begin;
    const std::optional<int64_t> found =
        StepOf(std::string_view(*text).substr(begin, size - 1));
    ours = ours || found;
    if (found && *found <= step && *found > last_step) {
      std::memmove(text->data() + kept, text->data() + begin, size);
      kept += size;
      last_step = *found;
    }
    begin = end + 1;
  }
  ours = ours || text->empty();
  if (ours) text->resize(kept);
  return ours;
}

// Fails as MetricsLog::Open does.
absl::Status CutFile(const fs::path& path, int64_t step) {
  const fs::path folder_path =
      path.has_parent_path() ? path.parent_path() : fs::path(".");
  const absl::StatusOr<Folder> folder = Folder::Open(folder_path);
  if (!folder.ok()) return folder.status();
  const std::string name = path.filename().string();
  const auto refuse = [&path](absl::StatusCode code, absl::string_view why) {
    return absl::Status(code, absl::StrCat(path.string(), " ", why));
  };

  const absl::StatusOr<uint64_t> size = folder->FileSize(name);
  if (absl::IsNotFound(size.status())) return absl::OkStatus();
  if (!size.ok()) {
    return refuse(absl::IsInvalidArgument(size.status())
                      ? absl::StatusCode::kFailedPrecondition
                      : size.status().code(),
                  size.status().message());
  }
  if (*size > MetricsLog::kMaxFileBytes) {
    return refuse(
        absl::StatusCode::kResourceExhausted,
        absl::StrCat("has ", *size, " bytes, and a run goes on with at most ",
                     MetricsLog::kMaxFileBytes, ": move it away"));
  }
  absl::StatusOr<std::string> text =
      folder->ReadFile(name, MetricsLog::kMaxFileBytes);
  if (!text.ok()) return refuse(text.status().code(), text.status().message());
  const size_t before = text->size();
  if (!KeepLines(step, &*text)) {
    return refuse(absl::StatusCode::kDataLoss,
                  "is not a log of metrics: move it away");
  }
  if (text->size() == before) return absl::OkStatus();
  return WriteFileDurably(path, *text);
}

}  // namespace

std::string MetricsLine(const MetricsRecord& record) {
  std::string line = absl::StrFormat(
      "{\"step\":%d,\"images\":%d,\"time\":\"%s\"", record.step, record.images,
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", record.time,
                       absl::UTCTimeZone()));
  AppendNumber("d_loss_real", record.d_loss_real, &line);
  AppendNumber("d_loss_fake", record.d_loss_fake, &line);
  AppendNumber("g_loss", record.g_loss, &line);
  AppendNumber("r1", record.r1, &line);
  AppendNumber("grad_norm_d", record.grad_norm_d, &line);
  AppendNumber("grad_norm_g", record.grad_norm_g, &line);
  AppendNumber("lr_g", record.lr_g, &line);
  AppendNumber("lr_d", record.lr_d, &line);
  AppendNumber("images_per_second", record.images_per_second, &line);
  AppendNumber("data_wait_share", record.data_wait_share, &line);
  AppendNumber("gradient_wait_share", record.gradient_wait_share, &line);
  AppendNumber("ema_distance", record.ema_distance, &line);
  absl::StrAppend(&line, ",\"damaged_images\":", record.damaged_images, "}\n");
  return line;
}

absl::StatusOr<std::unique_ptr<MetricsLog>> MetricsLog::Open(
    const fs::path& path, int64_t step) {
  if (absl::Status status = CutFile(path, step); !status.ok()) return status;
  const int descriptor =
      open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
           0644);
  if (descriptor < 0) return PathError(errno, "open", path);
  struct stat info;
  if (fstat(descriptor, &info) != 0) {
    const int error = errno;
    close(descriptor);
    return PathError(error, "examine", path);
  }
  return std::unique_ptr<MetricsLog>(
      new MetricsLog(path, descriptor, info.st_size));
}

MetricsLog::~MetricsLog() { close(descriptor_); }

absl::Status MetricsLog::Append(const MetricsRecord& record) {
  const std::string line = MetricsLine(record);
  ssize_t count;
  do {
    count = write(descriptor_, line.data(), line.size());
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(line.size())) {
    size_ += count;
    return absl::OkStatus();
  }
  // A short write says that there is no room for the rest, not why.
  const int error = count < 0 ? errno : ENOSPC;
  // The next line must not follow half a one. Should this fail, too, the run
  // that goes on from here drops that line.
  if (count > 0 && ftruncate(descriptor_, size_) != 0) size_ += count;
  return PathError(error, "write", path_);
}

absl::Status MetricsLog::Sync() {
  if (fdatasync(descriptor_) != 0) return PathError(errno, "sync", path_);
  return absl::OkStatus();
}

}  // namespace ddgan

#include "engine/versions/pin_store.h"

#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "engine/base/folder.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "nlohmann/json.hpp"

namespace ddgan {
namespace {

constexpr int kPinsFormatVersion = 1;

// Whoever gave the order waits meanwhile.
constexpr absl::Duration kLockPatience = absl::Seconds(5);

absl::StatusOr<Pins> ParsePins(const std::string& text) {
  const absl::StatusOr<nlohmann::json> object = ParseStrictJson(text);
  if (!object.ok()) return object.status();
  if (!object->is_object() || object->size() != 2 ||
      !object->contains("format_version") || !object->contains("pins") ||
      object->at("format_version") != kPinsFormatVersion ||
      !object->at("pins").is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be an object with format_version ",
                     kPinsFormatVersion, " and an object pins"));
  }
  Pins pins;
  for (const auto& [model, version] : object->at("pins").items()) {
    if (!IsModelName(model) || !version.is_number_integer() ||
        version.get<int64_t>() < 1) {
      return absl::InvalidArgumentError(
          "pins must have versions, 1 or more, by the names of models");
    }
    pins[model] = version.get<int64_t>();
  }
  return pins;
}

}  // namespace

absl::StatusOr<Pins> ReadPins(const std::filesystem::path& state_dir) {
  const auto failed = [](const std::string& path, const absl::Status& status) {
    return absl::FailedPreconditionError(
        absl::StrCat("state_dir: ", path, ": ", status.message()));
  };
  const absl::StatusOr<Folder> folder = Folder::Open(state_dir);
  if (!folder.ok()) return failed(state_dir.string(), folder.status());
  const absl::StatusOr<std::string> text =
      folder->ReadFile(kPinsFileName, kMaxJsonBytes);
  if (absl::IsNotFound(text.status())) return Pins();
  const std::string path = (state_dir / kPinsFileName).string();
  if (!text.ok()) return failed(path, text.status());
  absl::StatusOr<Pins> pins = ParsePins(*text);
  if (!pins.ok()) return failed(path, pins.status());
  return pins;
}

absl::Status WritePins(const std::filesystem::path& state_dir,
                       const Pins& pins) {
  nlohmann::ordered_json object;
  object["format_version"] = kPinsFormatVersion;
  object["pins"] = pins;
  const absl::Status written = [&] {
    // Servers may share it, and the file is written by one at a time. Where a
    // network file system has no locks, orders have to come one by one.
    const absl::StatusOr<Folder> folder = Folder::Open(state_dir);
    if (!folder.ok()) return folder.status();
    const absl::Status locked = folder->Lock(kLockPatience);
    if (absl::IsDeadlineExceeded(locked)) return locked;
    return WriteFileDurably(state_dir / kPinsFileName, object.dump(2) + "\n");
  }();
  if (written.ok()) return written;
  return absl::UnavailableError(absl::StrCat("state_dir: ", written.message()));
}

}  // namespace ddgan

// The operator's pins, kept across restarts in a folder of the server's own.
#ifndef DDGAN_ENGINE_VERSIONS_PIN_STORE_H_
#define DDGAN_ENGINE_VERSIONS_PIN_STORE_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan {

// By model: the version that is pinned.
using Pins = std::map<std::string, int64_t>;

// Below the state folder: {"format_version": 1, "pins": {"<model>":
// <version>}}.
inline constexpr char kPinsFileName[] = "pins.json";

// No pins if the file is not there yet.
//   FailedPrecondition  the folder is absent, or the file cannot be read or is
//                       not what WritePins writes: to go on without a pin that
//                       was set would serve what the operator has ruled out
absl::StatusOr<Pins> ReadPins(const std::filesystem::path& state_dir);

// Replaces the file; after a crash it is the old one or the new one.
// Unavailable if it cannot be written, and then it is the old one, or cannot be
// made durable, and then it is either. Several writers, of several machines
// too, take turns where the file system has locks; the last one's pins stay.
absl::Status WritePins(const std::filesystem::path& state_dir,
                       const Pins& pins);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_PIN_STORE_H_

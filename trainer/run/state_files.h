// Which files of a run folder are training states. No LibTorch.
#ifndef DDGAN_TRAINER_RUN_STATE_FILES_H_
#define DDGAN_TRAINER_RUN_STATE_FILES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan {

// The last two states stay: the newest, and one to fall back to.
inline constexpr int kStatesKept = 2;

// "state_<steps done>.safetensors".
std::string StateFileName(int64_t steps_done);

// Steps done of the states in `folder`, newest first; empty if the folder is
// not there. Other files are none of ours.
absl::StatusOr<std::vector<int64_t>> ListStates(
    const std::filesystem::path& folder);

// Renames a state that is damaged to <its name>.damaged: it is none any more,
// takes no sound one's place, and can be looked at. The file system's error.
absl::Status SetStateAside(const std::filesystem::path& folder,
                           int64_t steps_done);

// Removes all but the newest kStatesKept, and what a process that was killed
// while it saved one has left. The file system's error.
absl::Status RemoveOldStates(const std::filesystem::path& folder);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_STATE_FILES_H_

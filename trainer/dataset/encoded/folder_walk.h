// Finds the picture files of a folder. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_FOLDER_WALK_H_
#define DDGAN_TRAINER_DATASET_ENCODED_FOLDER_WALK_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/dataset/encoded/set_report.h"

namespace ddgan {

// Bounds what the memory of a set's list, and of packed archives, may come to.
// Thread-compatible.
class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t bytes) : allowed_(bytes) {}

  // ResourceExhausted if that is more than is left; `what` begins the message.
  absl::Status Take(uint64_t bytes, const std::filesystem::path& what);

  uint64_t taken() const { return taken_; }

 private:
  const uint64_t allowed_;
  uint64_t taken_ = 0;
};

// Relative paths, in the order of their bytes.
struct FolderFiles {
  std::vector<std::string> pictures;
  std::vector<std::string> archives;
};

// How far up the folders lie within which links may lead.
inline constexpr int kLinkLevels = 3;

// All files of `root` and of the folders below it whose names are those of
// pictures or archives (set_report.h); the others are counted in `report`.
//
// Links to files and to folders are followed while they lead to a place below
// the third folder above `root`, both by their real paths; the root of the file
// system is never taken for that folder. So a selection may link to the set
// that it was made of, and a download cache's snapshot to its blobs, but a set
// from a stranger not to everything. A folder is entered once, however many
// links lead to it, and never one that holds `root`. A link to a file is a file
// of the link's name.
//
// A folder that the system forbids to look into is passed over; at most 64
// folders may lie in each other.
//   ResourceExhausted  deeper folders, or over `budget`
//   another            a folder cannot be read, as the system says
absl::StatusOr<FolderFiles> WalkFolder(const std::filesystem::path& root,
                                       MemoryBudget* budget, SetReport* report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_FOLDER_WALK_H_

// Where model versions come from: a model directory, or a script in tests.
#ifndef DDGAN_ENGINE_VERSIONS_VERSION_SOURCE_H_
#define DDGAN_ENGINE_VERSIONS_VERSION_SOURCE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/stop_check.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/model_loader.h"
#include "engine/requests/servable_version.h"

namespace ddgan {

struct VersionOnDisk {
  int64_t version = 0;
  VersionFiles files;

  friend bool operator==(const VersionOnDisk&, const VersionOnDisk&) = default;
};

// Thread-safe.
class VersionSource {
 public:
  virtual ~VersionSource() = default;

  // Sorted. NotFound if the source itself is absent.
  virtual absl::StatusOr<std::vector<std::string>> ListModelNames() = 0;
  // Complete versions, newest first. NotFound if the model is absent.
  virtual absl::StatusOr<std::vector<VersionOnDisk>> ListVersions(
      const std::string& model) = 0;
  // The files of a version as they are now, complete or not.
  virtual VersionFiles Examine(const std::string& model, int64_t version) = 0;
  // Folders in which something new would show.
  virtual std::vector<std::filesystem::path> FoldersToWatch() = 0;
  // What looks like a version and is not taken for one, a sentence each, as
  // DescribeStrayVersions.
  virtual std::vector<std::string> DescribeStrays() { return {}; }
  // Checks and loads a version; the error says what is wrong with it.
  // `loaded_at` is left to the caller. Blocks, for seconds if it must;
  // Cancelled soon after `stopped` becomes true.
  virtual absl::StatusOr<ServableVersion> Load(const std::string& model,
                                               int64_t version,
                                               StopCheck stopped) = 0;
};

// Turns checked bytes into weights that can run. As LoadModel.
using ModelLoader = std::function<absl::StatusOr<LoadedModel>(
    const Checkpoint& checkpoint, StopCheck stopped)>;

// The folder that checkpoint_format.h describes. `loader` must be thread-safe.
std::unique_ptr<VersionSource> NewDirectoryVersionSource(
    std::filesystem::path model_root, ModelLoader loader);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_VERSION_SOURCE_H_

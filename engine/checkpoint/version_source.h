// Where model versions come from: a model directory, or a script in tests.
#ifndef DDGAN_ENGINE_CHECKPOINT_VERSION_SOURCE_H_
#define DDGAN_ENGINE_CHECKPOINT_VERSION_SOURCE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "engine/servable_version.h"

namespace ddgan {

// Thread-safe.
class VersionSource {
 public:
  virtual ~VersionSource() = default;

  // Sorted. NotFound if the source itself is absent.
  virtual absl::StatusOr<std::vector<std::string>> ListModelNames() = 0;
  // Newest first.
  virtual absl::StatusOr<std::vector<int64_t>> ListVersions(
      const std::string& model) = 0;
  // Checks and loads a version; the error says what is wrong with it.
  // `loaded_at` is left to the registry. Blocks, for seconds if it must.
  virtual absl::StatusOr<ServableVersion> Load(const std::string& model,
                                               int64_t version) = 0;
};

// Turns checked bytes into weights on the device.
using ModelLoader = std::function<absl::StatusOr<std::shared_ptr<const Model>>(
    const Checkpoint& checkpoint)>;

// The folder that checkpoint_format.h describes. `loader` must be thread-safe.
std::unique_ptr<VersionSource> NewDirectoryVersionSource(
    std::filesystem::path model_root, ModelLoader loader);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_VERSION_SOURCE_H_

// Where a version lies, from its path as people write it. No LibTorch.
#ifndef DDGAN_ENGINE_CHECKPOINT_VERSION_PATH_H_
#define DDGAN_ENGINE_CHECKPOINT_VERSION_PATH_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace ddgan {

struct VersionPath {
  std::filesystem::path model_root;  // Absolute.
  std::string model;
  int64_t version = 0;
};

// A path <model_root>/<model>/<version>, relative or not, with or without a
// slash at the end. The folders need not be there. Nothing for a path that does
// not end in the name of a model and of a version. Thread-safe.
std::optional<VersionPath> ParseVersionPath(const std::filesystem::path& path);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_VERSION_PATH_H_

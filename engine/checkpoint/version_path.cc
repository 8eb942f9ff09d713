#include "engine/checkpoint/version_path.h"

#include <system_error>

#include "engine/checkpoint/checkpoint_format.h"

namespace ddgan {

std::optional<VersionPath> ParseVersionPath(const std::filesystem::path& path) {
  std::error_code error;  // Such as that of an empty path.
  // "/." drops a slash at the end, which would stand for an empty name.
  const std::filesystem::path folder =
      (std::filesystem::absolute(path, error) / ".")
          .lexically_normal()
          .parent_path();
  const std::filesystem::path model = folder.parent_path();
  const std::optional<int64_t> version =
      ParseVersionName(folder.filename().string());
  if (!version.has_value() || !IsModelName(model.filename().string()))
    return std::nullopt;
  return VersionPath{.model_root = model.parent_path(),
                     .model = model.filename().string(),
                     .version = *version};
}

}  // namespace ddgan

// What a run has published and not removed again, on disk in the run's folder,
// so that a resumed run removes its own versions and no others. No LibTorch.
#ifndef DDGAN_TRAINER_RUN_PUBLISHED_VERSIONS_H_
#define DDGAN_TRAINER_RUN_PUBLISHED_VERSIONS_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan {

// Thread-compatible.
class PublishedVersions {
 public:
  // What `path` holds; none if there is no such file. DataLoss if it is not
  // what Add and Remove write.
  static absl::StatusOr<PublishedVersions> Load(
      const std::filesystem::path& path);

  // As if there were no file, which Add and Remove then replace.
  void Forget() { digests_.clear(); }

  // `digest` is that of the version's manifest. Both write the file, whole or
  // not at all, and return the file system's error.
  absl::Status Add(int64_t version, const std::string& digest);
  absl::Status Remove(int64_t version);

  // Ascending.
  std::vector<int64_t> versions() const;
  // `version` is one of them.
  const std::string& digest(int64_t version) const {
    return digests_.at(version);
  }

 private:
  explicit PublishedVersions(std::filesystem::path path)
      : path_(std::move(path)) {}

  absl::Status Write() const;

  std::filesystem::path path_;
  std::map<int64_t, std::string> digests_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_PUBLISHED_VERSIONS_H_

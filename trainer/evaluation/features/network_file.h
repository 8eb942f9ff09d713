// The file that holds a network's weights: read once, its digest taken of the
// very bytes that are then used. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_NETWORK_FILE_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_NETWORK_FILE_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan {

struct NetworkFile {
  std::string path;
  std::string bytes;
  std::string digest;  // SHA-256 of `bytes`, lower-case hexadecimal.
};

// Fails as Folder::ReadFile does, with the path before the message.
absl::StatusOr<NetworkFile> ReadNetworkFile(const std::filesystem::path& path,
                                            uint64_t max_bytes);

// FailedPrecondition, which names the file and both digests, unless `wanted` is
// its digest. `wanted` is of lower-case digits.
absl::Status CheckDigest(const NetworkFile& file, const std::string& wanted);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_NETWORK_FILE_H_

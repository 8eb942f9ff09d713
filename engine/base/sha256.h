// SHA-256 (FIPS 180-4), as the manifest of a checkpoint records it.
#ifndef DDGAN_ENGINE_BASE_SHA256_H_
#define DDGAN_ENGINE_BASE_SHA256_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/base/stop_check.h"

namespace ddgan {

// 64 lower-case hex digits. Thread-safe. Ends the process if OpenSSL has no
// SHA-256, which only a broken installation lacks.
std::string Sha256Hex(std::string_view bytes);

// The same for much data. Cancelled if `stopped`.
absl::StatusOr<std::string> Sha256Hex(std::string_view bytes,
                                      StopCheck stopped);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_SHA256_H_

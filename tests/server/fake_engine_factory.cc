// CreateEngine for a ddgan-server without LibTorch, so that the program itself
// can be tested: its flags, signals and exit codes.
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "engine/engine.h"
#include "tests/fakes/fake_engine.h"

namespace ddgan {

absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(
    const EngineOptions& options, EngineObserver* /*observer*/,
    Clock* /*clock*/) {
  if (!std::filesystem::is_directory(options.model_root)) {
    return absl::NotFoundError(
        absl::StrCat("model root ", options.model_root, " is absent"));
  }
  return std::make_unique<FakeEngine>();
}

}  // namespace ddgan

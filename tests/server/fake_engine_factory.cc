// CreateEngine for a ddgan-server without LibTorch, so that the program itself
// can be tested: its flags, signals, exit codes and limits. The model's images
// are of the shape that a file `shape` in the model root says, "3 128 128" for
// example, else small.
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "engine/api/engine.h"
#include "tests/fakes/fake_engine.h"

namespace ddgan {

absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(
    const EngineOptions& options, EngineObserver* /*observer*/,
    Clock* /*clock*/) {
  const std::filesystem::path root = options.model_root;
  if (!std::filesystem::is_directory(root)) {
    return absl::NotFoundError(
        absl::StrCat("model root ", options.model_root, " is absent"));
  }
  ImageShape shape;
  if (std::ifstream file(root / "shape");
      file >> shape.channels >> shape.height >> shape.width) {
    return std::make_unique<FakeEngine>(shape);
  }
  return std::make_unique<FakeEngine>();
}

}  // namespace ddgan

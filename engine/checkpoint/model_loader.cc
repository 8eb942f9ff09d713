#include "engine/checkpoint/model_loader.h"

#include <ATen/Parallel.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/libtorch_errors.h"
#include "engine/checkpoint/parameter_loader.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"

namespace ddgan {

absl::StatusOr<LoadedModel> LoadModel(const Checkpoint& checkpoint,
                                      ModelUse use, StopCheck stopped) {
  const ModelIdentity& identity = checkpoint.identity;
  const std::string name = absl::StrCat(identity.model, "/", identity.version);
  return CatchingLibTorch(name, [&]() -> absl::StatusOr<LoadedModel> {
    // LibTorch's number of threads, for what it computes here, is not the
    // process's in a new thread unless that asks.
    at::init_num_threads();
    absl::StatusOr<Parameters> parameters = LoadParameters(checkpoint, stopped);
    if (!parameters.ok()) {
      return absl::Status(
          parameters.status().code(),
          absl::StrCat(name, ": ", parameters.status().message()));
    }
    const Generator generator(checkpoint.config.model_config,
                              *std::move(parameters));
    if (auto status = CheckStop(stopped); !status.ok()) return status;
    auto model = std::make_shared<const Model>(identity, generator, use);
    const int64_t bytes = model->bytes();
    return LoadedModel{std::move(model), bytes};
  });
}

}  // namespace ddgan

#include "client/command_line/pin_outcome.h"

#include "absl/strings/str_cat.h"

namespace ddgan {

std::optional<absl::Status> PinOutcome(const v1::Model& model,
                                       int64_t version) {
  if (model.has_live_version() && model.live_version() == version) {
    return absl::OkStatus();
  }
  if (!model.has_pinned_version() || model.pinned_version() != version) {
    return absl::AbortedError(absl::StrCat(
        model.name(), " ", version, " is not pinned any more: somebody has ",
        model.has_pinned_version()
            ? absl::StrCat("pinned ", model.pinned_version())
            : "taken the pin back"));
  }
  for (const v1::ModelVersion& candidate : model.versions()) {
    if (candidate.version() != version) continue;
    if (candidate.state() != v1::MODEL_VERSION_STATE_REFUSED) {
      return std::nullopt;
    }
    return absl::FailedPreconditionError(absl::StrCat(
        model.name(), " ", version, " is refused: ", candidate.reason()));
  }
  return absl::NotFoundError(
      absl::StrCat(model.name(), " ", version, " is gone"));
}

}  // namespace ddgan

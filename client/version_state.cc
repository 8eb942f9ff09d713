#include "client/version_state.h"

#include "absl/strings/str_cat.h"

namespace ddgan {

std::string VersionStateName(v1::ModelVersionState state) {
  switch (state) {
    case v1::MODEL_VERSION_STATE_LIVE:
      return "live";
    case v1::MODEL_VERSION_STATE_REFUSED:
      return "refused";
    case v1::MODEL_VERSION_STATE_ON_DISK:
      return "on disk";
    case v1::MODEL_VERSION_STATE_LOADING:
      return "loading";
    case v1::MODEL_VERSION_STATE_WAITING:
      return "waiting";
    case v1::MODEL_VERSION_STATE_LOADED:
      return "loaded";
    default:
      return absl::StrCat("state ", state);
  }
}

}  // namespace ddgan

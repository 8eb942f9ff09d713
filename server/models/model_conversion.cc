#include "server/models/model_conversion.h"

#include <cstdint>

#include "absl/time/time.h"
#include "server/calls/request_conversion.h"

namespace ddgan {
namespace {

v1::ModelVersionState ConvertState(VersionState state) {
  switch (state) {
    case VersionState::kOnDisk:
      return v1::MODEL_VERSION_STATE_ON_DISK;
    case VersionState::kLoading:
      return v1::MODEL_VERSION_STATE_LOADING;
    case VersionState::kWaiting:
      return v1::MODEL_VERSION_STATE_WAITING;
    case VersionState::kLive:
      return v1::MODEL_VERSION_STATE_LIVE;
    case VersionState::kLoaded:
      return v1::MODEL_VERSION_STATE_LOADED;
    case VersionState::kRefused:
      return v1::MODEL_VERSION_STATE_REFUSED;
  }
  return v1::MODEL_VERSION_STATE_UNSPECIFIED;
}

void ConvertVersion(const ModelVersionStatus& status, v1::ModelVersion* out) {
  out->set_version(status.identity.version);
  out->set_state(ConvertState(status.state));
  out->set_reason(status.reason);
  out->set_checkpoint_digest(status.identity.digest);
  if (status.state != VersionState::kLive &&
      status.state != VersionState::kLoaded) {
    return;
  }
  ConvertShape(status.shape, out->mutable_shape());
  out->set_num_timesteps(status.num_timesteps);
  out->set_evaluations(status.evaluations);
  out->set_training_step(status.training_step);
  out->set_dataset(status.dataset);
  const absl::Duration since_epoch = status.loaded_at - absl::UnixEpoch();
  absl::Duration rest;
  out->mutable_loaded_at()->set_seconds(
      absl::IDivDuration(since_epoch, absl::Seconds(1), &rest));
  out->mutable_loaded_at()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

}  // namespace

v1::Model ConvertModel(const ModelStatus& status) {
  v1::Model model;
  model.set_name(status.model);
  for (const ModelVersionStatus& version : status.versions) {
    ConvertVersion(version, model.add_versions());
    if (version.state == VersionState::kLive) {
      model.set_live_version(version.identity.version);
    }
  }
  if (status.pinned.has_value()) model.set_pinned_version(*status.pinned);
  return model;
}

v1::ListModelsResponse ConvertModelList(
    const std::vector<ModelStatus>& models) {
  v1::ListModelsResponse response;
  for (const ModelStatus& model : models) {
    *response.add_models() = ConvertModel(model);
  }
  return response;
}

}  // namespace ddgan

#include "server/kserve/model_description.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/kserve/tensors.h"

namespace ddgan {
namespace {

constexpr char kPlatform[] = "ddgan";

// Of a tensor in metadata: the number of images.
constexpr int64_t kAnyNumber = -1;

bool IsLoaded(VersionState state) {
  return state == VersionState::kLive || state == VersionState::kLoaded;
}

const char* StateOf(VersionState state) {
  if (IsLoaded(state)) return "READY";
  return state == VersionState::kLoading ? "LOADING" : "UNAVAILABLE";
}

void ConvertDuration(int64_t count, absl::Duration all,
                     inference::StatisticDuration* out) {
  out->set_count(static_cast<uint64_t>(count));
  out->set_ns(static_cast<uint64_t>(absl::ToInt64Nanoseconds(all)));
}

}  // namespace

std::vector<int64_t> LoadedVersions(const ModelStatus& model) {
  std::vector<int64_t> versions;
  for (const ModelVersionStatus& version : model.versions) {
    if (IsLoaded(version.state)) versions.push_back(version.identity.version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

inference::ModelMetadataResponse DescribeModel(
    const ResolvedModel& model, const std::vector<int64_t>& loaded) {
  inference::ModelMetadataResponse description;
  description.set_name(model.identity.model);
  for (const int64_t version : loaded) {
    description.add_versions(absl::StrCat(version));
  }
  description.set_platform(kPlatform);
  for (const InputTensor& tensor : kInputTensors) {
    auto* const input = description.add_inputs();
    input->set_name(std::string(tensor.name));
    input->set_datatype(std::string(tensor.datatype));
    input->add_shape(kAnyNumber);
    input->add_shape(1);
  }
  for (const OutputTensor& tensor : OutputTensors()) {
    auto* const output = description.add_outputs();
    output->set_name(std::string(tensor.name));
    output->set_datatype(std::string(tensor.datatype));
    output->add_shape(kAnyNumber);
    for (const int64_t dimension : DimensionsOf(tensor, model.shape)) {
      output->add_shape(dimension);
    }
  }
  return description;
}

inference::ModelConfig ConfigOf(const ResolvedModel& model) {
  inference::ModelConfig config;
  config.set_name(model.identity.model);
  config.set_platform(kPlatform);
  config.set_backend(kPlatform);
  config.set_max_batch_size(GenerationRequest::kMaxCount);
  for (const InputTensor& tensor : kInputTensors) {
    inference::ModelInput* const input = config.add_input();
    input->set_name(std::string(tensor.name));
    input->set_data_type(tensor.config_type);
    input->add_dims(1);
    input->set_optional(!tensor.required);
  }
  for (const OutputTensor& tensor : OutputTensors()) {
    inference::ModelOutput* const output = config.add_output();
    output->set_name(std::string(tensor.name));
    output->set_data_type(tensor.config_type);
    for (const int64_t dimension : DimensionsOf(tensor, model.shape)) {
      output->add_dims(dimension);
    }
  }
  // The classes of infer_conversion.cc.
  config.mutable_dynamic_batching()->set_priority_levels(2);
  config.mutable_dynamic_batching()->set_default_priority_level(1);
  config.mutable_model_transaction_policy()->set_decoupled(false);
  const std::pair<std::string, std::string> parameters[] = {
      {"checkpoint_digest", model.identity.digest},
      {"num_timesteps", absl::StrCat(model.num_timesteps)},
      {"evaluations", absl::StrCat(model.evaluations)}};
  for (const auto& [name, value] : parameters) {
    (*config.mutable_parameters())[name].set_string_value(value);
  }
  return config;
}

inference::RepositoryIndexResponse IndexOf(
    const std::vector<ModelStatus>& models, bool ready) {
  inference::RepositoryIndexResponse index;
  for (const ModelStatus& model : models) {
    for (const ModelVersionStatus& version : model.versions) {
      if (ready && !IsLoaded(version.state)) continue;
      auto* const entry = index.add_models();
      entry->set_name(model.model);
      entry->set_version(absl::StrCat(version.identity.version));
      entry->set_state(StateOf(version.state));
      entry->set_reason(version.reason);
    }
  }
  return index;
}

inference::ModelStatistics ConvertTally(const std::string& model,
                                        int64_t version,
                                        const CallStatistics::Tally& tally) {
  inference::ModelStatistics statistics;
  statistics.set_name(model);
  statistics.set_version(absl::StrCat(version));
  if (tally.succeeded > 0) {
    statistics.set_last_inference(
        static_cast<uint64_t>(absl::ToUnixMillis(tally.last)));
  }
  statistics.set_inference_count(static_cast<uint64_t>(tally.images));
  statistics.set_execution_count(static_cast<uint64_t>(tally.succeeded));
  inference::InferStatistics& calls = *statistics.mutable_inference_stats();
  ConvertDuration(tally.succeeded, tally.succeeded_time,
                  calls.mutable_success());
  ConvertDuration(tally.failed, tally.failed_time, calls.mutable_fail());
  ConvertDuration(tally.succeeded, tally.queue, calls.mutable_queue());
  ConvertDuration(tally.succeeded, tally.steps, calls.mutable_compute_infer());
  ConvertDuration(tally.succeeded, tally.encode,
                  calls.mutable_compute_output());
  return statistics;
}

}  // namespace ddgan

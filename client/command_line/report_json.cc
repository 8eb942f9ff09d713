#include "client/command_line/report_json.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/version_state.h"

namespace ddgan {
namespace {

using Json = nlohmann::ordered_json;
using HealthResponse = grpc::health::v1::HealthCheckResponse;

std::string Text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

// `value`, or null if it is not `known`.
template <typename T>
Json Known(bool known, const T& value) {
  return known ? Json(value) : Json(nullptr);
}

Json VersionJson(const v1::ModelVersion& version) {
  const bool is_loaded = version.has_shape();
  return {
      {"version", version.version()},
      {"state", VersionStateName(version.state())},
      {"reason", version.reason()},
      {"checkpoint_digest", Known(!version.checkpoint_digest().empty(),
                                  version.checkpoint_digest())},
      {"channels", Known(is_loaded, version.shape().channels())},
      {"height", Known(is_loaded, version.shape().height())},
      {"width", Known(is_loaded, version.shape().width())},
      {"num_timesteps", Known(is_loaded, version.num_timesteps())},
      // An earlier server does not say.
      {"evaluations",
       Known(is_loaded && version.evaluations() > 0, version.evaluations())},
      {"training_step", Known(is_loaded, version.training_step())},
      {"dataset", Known(is_loaded, version.dataset())},
      {"loaded_at", Known(version.has_loaded_at(),
                          absl::FormatTime("%Y-%m-%dT%H:%M:%SZ",
                                           absl::FromUnixSeconds(
                                               version.loaded_at().seconds()),
                                           absl::UTCTimeZone()))},
  };
}

}  // namespace

std::string ModelsJson(const v1::ListModelsResponse& models) {
  Json list = Json::array();
  for (const v1::Model& model : models.models()) {
    Json versions = Json::array();
    for (const v1::ModelVersion& version : model.versions()) {
      versions.push_back(VersionJson(version));
    }
    list.push_back({{"name", model.name()},
                    {"live_version",
                     Known(model.has_live_version(), model.live_version())},
                    {"pinned_version",
                     Known(model.has_pinned_version(), model.pinned_version())},
                    {"versions", std::move(versions)}});
  }
  Json strays = Json::array();
  for (const std::string& stray : models.strays()) strays.push_back(stray);
  return Text({{"models", std::move(list)}, {"strays", std::move(strays)}}, 2);
}

std::string HealthJson(
    const std::string& server, const std::string& service,
    const absl::StatusOr<HealthResponse::ServingStatus>& status) {
  Json error = nullptr;
  if (!status.ok()) {
    error = {{"code", absl::StatusCodeToString(status.status().code())},
             {"message", std::string(status.status().message())}};
  }
  return Text({{"server", server},
               {"service", service},
               {"ready", status.ok() && *status == HealthResponse::SERVING},
               {"status",
                status.ok() ? Json(HealthResponse::ServingStatus_Name(*status))
                            : Json(nullptr)},
               {"error", std::move(error)}},
              -1);
}

}  // namespace ddgan

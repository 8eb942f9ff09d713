#include "client/command_line/report_json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "client/version_state.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using nlohmann::json;
using HealthResponse = grpc::health::v1::HealthCheckResponse;

v1::ListModelsResponse OneLiveOneLoading() {
  v1::ListModelsResponse list;
  v1::Model* model = list.add_models();
  model->set_name("mnist");
  model->set_live_version(4);
  v1::ModelVersion* loading = model->add_versions();
  loading->set_version(9'007'199'254'740'993);  // No double has this value.
  loading->set_state(v1::MODEL_VERSION_STATE_LOADING);
  v1::ModelVersion* live = model->add_versions();
  live->set_version(4);
  live->set_state(v1::MODEL_VERSION_STATE_LIVE);
  live->set_checkpoint_digest(std::string(64, 'd'));
  live->mutable_shape()->set_channels(1);
  live->mutable_shape()->set_height(28);
  live->mutable_shape()->set_width(32);
  live->set_num_timesteps(4);
  live->set_evaluations(5);
  live->set_training_step(12345);
  live->set_dataset("mnist");
  live->mutable_loaded_at()->set_seconds(1'800'000'000);
  return list;
}

TEST(ModelsJsonTest, TellsAllThatIsKnownAndNullForTheRest) {
  const json told = json::parse(ModelsJson(OneLiveOneLoading()));
  EXPECT_EQ(told, json::parse(R"({
    "models": [{
      "name": "mnist", "live_version": 4, "pinned_version": null,
      "versions": [
        {"version": 9007199254740993, "state": "loading", "reason": "",
         "checkpoint_digest": null, "channels": null, "height": null,
         "width": null, "num_timesteps": null, "evaluations": null,
         "training_step": null, "dataset": null, "loaded_at": null},
        {"version": 4, "state": "live", "reason": "", "checkpoint_digest":
         "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
         "channels": 1, "height": 28, "width": 32, "num_timesteps": 4,
         "evaluations": 5, "training_step": 12345, "dataset": "mnist",
         "loaded_at": "2027-01-15T08:00:00Z"}]}],
    "strays": []})"));
}

TEST(ModelsJsonTest, IsJsonWhateverBytesTheServerSends) {
  v1::ListModelsResponse list;
  v1::Model* model = list.add_models();
  model->set_name("a\"\n");
  model->set_pinned_version(7);
  model->add_versions()->set_reason("\xff broken");
  list.add_strays("v7 is none");
  const json told = json::parse(ModelsJson(list));
  EXPECT_EQ(told["models"][0]["name"], "a\"\n");
  EXPECT_EQ(told["models"][0]["live_version"], nullptr);
  EXPECT_EQ(told["models"][0]["pinned_version"], 7);
  EXPECT_EQ(told["models"][0]["versions"][0]["reason"], "\xef\xbf\xbd broken");
  EXPECT_EQ(told["strays"], json::array({"v7 is none"}));
  EXPECT_EQ(json::parse(ModelsJson({})),
            json::parse(R"({"models": [], "strays": []})"));
}

TEST(HealthJsonTest, TellsTheAnswerOrWhyThereIsNone) {
  EXPECT_EQ(HealthJson("host:1", "", HealthResponse::SERVING),
            R"({"server":"host:1","service":"","ready":true,)"
            R"("status":"SERVING","error":null})"
            "\n");
  EXPECT_EQ(json::parse(HealthJson("host:1", "", HealthResponse::NOT_SERVING))
                .at("ready"),
            false);
  const json failed = json::parse(
      HealthJson("host:1", "a.Service", absl::UnavailableError("refused")));
  EXPECT_EQ(failed, json::parse(R"({
    "server": "host:1", "service": "a.Service", "ready": false, "status": null,
    "error": {"code": "UNAVAILABLE", "message": "refused"}})"));
}

TEST(VersionStateNameTest, IsAnotherOneForEachStateAlsoForANewerServers) {
  std::set<std::string> names;
  for (int i = v1::MODEL_VERSION_STATE_LIVE; i <= v1::ModelVersionState_MAX;
       ++i) {
    names.insert(VersionStateName(static_cast<v1::ModelVersionState>(i)));
  }
  EXPECT_EQ(names.size(), v1::ModelVersionState_MAX);
  EXPECT_EQ(names.count("state 1"), 0);
  EXPECT_EQ(VersionStateName(static_cast<v1::ModelVersionState>(9)), "state 9");
}

}  // namespace
}  // namespace ddgan

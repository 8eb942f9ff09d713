#include "server/models/model_conversion.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "gtest/gtest.h"

namespace ddgan {
namespace {

ModelVersionStatus VersionIn(VersionState state, int64_t version) {
  ModelVersionStatus status;
  status.identity = {"digits", version, "dd"};
  status.state = state;
  status.reason = "why";
  status.shape = {1, 32, 28};
  status.num_timesteps = 4;
  status.evaluations = 7;
  status.training_step = 1000;
  status.dataset = "mnist";
  status.loaded_at = absl::FromUnixMillis(12'250);
  return status;
}

TEST(ModelConversionTest, TellsAllAboutAVersionThatIsLoaded) {
  for (VersionState state : {VersionState::kLive, VersionState::kLoaded}) {
    const v1::Model model =
        ConvertModel({"digits", std::nullopt, {VersionIn(state, 2)}});
    EXPECT_EQ(model.name(), "digits");
    ASSERT_EQ(model.versions_size(), 1);
    const v1::ModelVersion& version = model.versions(0);
    EXPECT_EQ(version.version(), 2);
    EXPECT_EQ(version.checkpoint_digest(), "dd");
    EXPECT_EQ(version.reason(), "why");
    EXPECT_EQ(version.shape().height(), 32u);
    EXPECT_EQ(version.shape().width(), 28u);
    EXPECT_EQ(version.num_timesteps(), 4u);
    EXPECT_EQ(version.evaluations(), 7u);
    EXPECT_EQ(version.training_step(), 1000);
    EXPECT_EQ(version.dataset(), "mnist");
    EXPECT_EQ(version.loaded_at().seconds(), 12);
    EXPECT_EQ(version.loaded_at().nanos(), 250'000'000);
  }
}

TEST(ModelConversionTest, TellsOnlyTheReasonOfAVersionThatIsNotLoaded) {
  for (VersionState state : {VersionState::kOnDisk, VersionState::kLoading,
                             VersionState::kWaiting, VersionState::kRefused}) {
    const v1::Model model =
        ConvertModel({"digits", std::nullopt, {VersionIn(state, 2)}});
    const v1::ModelVersion& version = model.versions(0);
    EXPECT_EQ(version.version(), 2);
    EXPECT_EQ(version.checkpoint_digest(), "dd");
    EXPECT_EQ(version.reason(), "why");
    EXPECT_FALSE(version.has_shape());
    EXPECT_FALSE(version.has_loaded_at());
    EXPECT_EQ(version.num_timesteps(), 0u);
    EXPECT_EQ(version.evaluations(), 0u);
  }
}

TEST(ModelConversionTest, GivesEveryStateItsOwnName) {
  const std::pair<VersionState, v1::ModelVersionState> cases[] = {
      {VersionState::kOnDisk, v1::MODEL_VERSION_STATE_ON_DISK},
      {VersionState::kLoading, v1::MODEL_VERSION_STATE_LOADING},
      {VersionState::kWaiting, v1::MODEL_VERSION_STATE_WAITING},
      {VersionState::kLive, v1::MODEL_VERSION_STATE_LIVE},
      {VersionState::kLoaded, v1::MODEL_VERSION_STATE_LOADED},
      {VersionState::kRefused, v1::MODEL_VERSION_STATE_REFUSED},
  };
  for (const auto& [state, wanted] : cases) {
    EXPECT_EQ(ConvertModel({"digits", std::nullopt, {VersionIn(state, 1)}})
                  .versions(0)
                  .state(),
              wanted);
  }
}

TEST(ModelConversionTest, SaysWhichVersionIsLiveAndWhichIsPinned) {
  const v1::Model neither = ConvertModel(
      {"digits", std::nullopt, {VersionIn(VersionState::kRefused, 2)}});
  EXPECT_FALSE(neither.has_live_version());
  EXPECT_FALSE(neither.has_pinned_version());
  const v1::Model both = ConvertModel(
      {"digits",
       4,
       {VersionIn(VersionState::kLoading, 4), VersionIn(VersionState::kLive, 3),
        VersionIn(VersionState::kLoaded, 2)}});
  EXPECT_EQ(both.live_version(), 3);
  EXPECT_EQ(both.pinned_version(), 4);
}

TEST(ModelConversionTest, KeepsTheEnginesOrderOfModelsAndVersions) {
  const v1::ListModelsResponse list =
      ConvertModelList({{"cats", std::nullopt, {}},
                        {"digits",
                         std::nullopt,
                         {VersionIn(VersionState::kLive, 10),
                          VersionIn(VersionState::kLoaded, 9)}}});
  ASSERT_EQ(list.models_size(), 2);
  EXPECT_EQ(list.models(0).name(), "cats");
  EXPECT_EQ(list.models(0).versions_size(), 0);
  EXPECT_EQ(list.models(1).versions(0).version(), 10);
  EXPECT_EQ(list.models(1).versions(1).version(), 9);
}

}  // namespace
}  // namespace ddgan

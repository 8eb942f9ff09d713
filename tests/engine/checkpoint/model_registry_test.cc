#include "engine/checkpoint/model_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/fakes/manual_clock.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/scripted_version_source.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ModelRegistryTest : public ::testing::Test {
 protected:
  // Hands the scripted source over.
  ModelRegistry& Registry(ModelRegistry::TryOut try_out =
                              [](const ServableVersion&) {
                                return absl::OkStatus();
                              }) {
    registry_ = std::make_unique<ModelRegistry>(
        std::move(source_), std::move(try_out), &observer_, &clock_);
    return *registry_;
  }

  ManualClock clock_;
  RecordingObserver observer_;
  std::unique_ptr<ScriptedVersionSource> source_ =
      std::make_unique<ScriptedVersionSource>();
  std::unique_ptr<ModelRegistry> registry_;
};

TEST_F(ModelRegistryTest, TheNewestVersionGoesLive) {
  source_->Add(MakeServableVersion("digits", 9));
  source_->Add(MakeServableVersion("digits", 10));
  ScriptedVersionSource* const source = source_.get();
  ModelRegistry& registry = Registry();
  EXPECT_FALSE(registry.AnyLive());
  ASSERT_EQ(registry.LoadNewest(), absl::OkStatus());
  EXPECT_TRUE(registry.AnyLive());
  EXPECT_EQ(source->loads(), 1);
  const auto live = registry.Resolve("digits", std::nullopt);
  ASSERT_TRUE(live.ok());
  EXPECT_EQ((*live)->identity.version, 10);
  EXPECT_EQ((*live)->loaded_at, clock_.Now());
  EXPECT_EQ(*registry.Resolve("digits", 10), *live);
}

TEST_F(ModelRegistryTest, ARefusedVersionIsRememberedAndAnOlderOneServes) {
  source_->AddBroken("digits", 3, absl::DataLossError("weights: bad digest"));
  source_->Add(MakeServableVersion("digits", 2));
  source_->Add(MakeServableVersion("digits", 1));
  ModelRegistry& registry = Registry();
  ASSERT_EQ(registry.LoadNewest(), absl::OkStatus());
  const std::vector<ModelVersionStatus> list = registry.List();
  ASSERT_THAT(list, SizeIs(2));  // Version 1 was not looked at.
  EXPECT_EQ(list[0].identity.version, 3);
  EXPECT_EQ(list[0].state, VersionState::kRefused);
  EXPECT_EQ(list[0].reason, "weights: bad digest");
  EXPECT_EQ(list[1].identity, (ModelIdentity{"digits", 2, "digest-2"}));
  EXPECT_EQ(list[1].state, VersionState::kLive);
  EXPECT_THAT(list[1].reason, IsEmpty());
  EXPECT_EQ(list[1].shape, (ImageShape{1, 8, 8}));
  EXPECT_EQ(list[1].num_timesteps, 4);
  EXPECT_EQ(list[1].training_step, 200);
  EXPECT_EQ(list[1].dataset, "scripted");
}

TEST_F(ModelRegistryTest, AVersionThatFailsItsTryOutIsRefused) {
  source_->Add(MakeServableVersion("digits", 2));
  source_->Add(MakeServableVersion("digits", 1));
  ModelRegistry& registry = Registry([](const ServableVersion& version) {
    return version.identity.version == 2 ? absl::InternalError("NaN")
                                         : absl::OkStatus();
  });
  ASSERT_EQ(registry.LoadNewest(), absl::OkStatus());
  EXPECT_EQ((*registry.Resolve("digits", std::nullopt))->identity.version, 1);
  EXPECT_EQ(registry.List()[0].reason, "NaN");
}

TEST_F(ModelRegistryTest, EveryLoadIsReportedWithItsTime) {
  source_->AddBroken("digits", 2, absl::DataLossError("torn"));
  source_->Add(MakeServableVersion("digits", 1));
  ModelRegistry& registry = Registry([this](const ServableVersion&) {
    clock_.Advance(absl::Seconds(3));
    return absl::OkStatus();
  });
  ASSERT_EQ(registry.LoadNewest(), absl::OkStatus());
  const auto reloads = observer_.events().reloads;
  ASSERT_THAT(reloads, SizeIs(2));
  EXPECT_EQ(reloads[0].model, (ModelIdentity{"digits", 2, ""}));
  EXPECT_EQ(reloads[0].result.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(reloads[1].model, (ModelIdentity{"digits", 1, "digest-1"}));
  EXPECT_EQ(reloads[1].result, absl::OkStatus());
  EXPECT_EQ(reloads[1].duration, absl::Seconds(3));
}

TEST_F(ModelRegistryTest, ABrokenModelDoesNotKeepAnotherFromServing) {
  source_->AddBroken("cifar10", 1, absl::DataLossError("torn"));
  source_->AddEmpty("locked", absl::PermissionDeniedError("not readable"));
  source_->Add(MakeServableVersion("digits", 1));
  ModelRegistry& registry = Registry();
  ASSERT_EQ(registry.LoadNewest(), absl::OkStatus());
  EXPECT_TRUE(registry.Resolve("digits", std::nullopt).ok());
  // It is the only one that serves, so it needs no name.
  EXPECT_TRUE(registry.Resolve("", std::nullopt).ok());
  const absl::Status refused =
      registry.Resolve("cifar10", std::nullopt).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(registry.List(), SizeIs(2));
}

TEST_F(ModelRegistryTest, WithNothingSoundTheErrorNamesEachVersionAndWhy) {
  source_->AddBroken("cifar10", 7, absl::DataLossError("torn"));
  source_->AddBroken("digits", 1, absl::InvalidArgumentError("unknown key"));
  source_->AddEmpty("fresh");
  source_->AddEmpty("locked", absl::PermissionDeniedError("not readable"));
  const absl::Status status = Registry().LoadNewest();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  for (const char* part :
       {"cifar10 version 7: torn", "digits version 1: unknown key",
        "fresh has no complete version", "locked: not readable"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
}

TEST_F(ModelRegistryTest, AnEmptyRootIsAFailedPrecondition) {
  EXPECT_EQ(Registry().LoadNewest(),
            absl::FailedPreconditionError(
                "no model version can be served: there is none"));
}

TEST_F(ModelRegistryTest, AnAbsentRootIsNotFound) {
  source_->RemoveRoot();
  EXPECT_EQ(Registry().LoadNewest().code(), absl::StatusCode::kNotFound);
}

TEST_F(ModelRegistryTest, UnknownNamesAreAnsweredWithWhatThereIs) {
  source_->Add(MakeServableVersion("cifar10", 5));
  source_->Add(MakeServableVersion("digits", 3));
  ModelRegistry& registry = Registry();
  ASSERT_EQ(registry.LoadNewest(), absl::OkStatus());
  EXPECT_EQ(registry.Resolve("faces", std::nullopt).status(),
            absl::NotFoundError(
                "no model \"faces\" is served; served: cifar10, digits"));
  EXPECT_EQ(registry.Resolve("digits", 4).status(),
            absl::NotFoundError("model \"digits\" has no version 4 that is "
                                "served; served: 3"));
  EXPECT_EQ(registry.Resolve("", std::nullopt).status(),
            absl::InvalidArgumentError("model is empty, but several are "
                                       "served; one of: cifar10, digits"));
}

TEST_F(ModelRegistryTest, AHandleKeepsItsVersionWhenANewerOneGoesLive) {
  source_->Add(MakeServableVersion("digits", 1));
  ScriptedVersionSource* const source = source_.get();
  ModelRegistry& registry = Registry();
  ASSERT_EQ(registry.LoadNewest(), absl::OkStatus());
  auto handle = *registry.Resolve("digits", std::nullopt);
  const std::weak_ptr<const ServableVersion> watch = handle;
  source->Add(MakeServableVersion("digits", 2));
  ASSERT_EQ(registry.LoadNewest(), absl::OkStatus());
  EXPECT_EQ((*registry.Resolve("digits", std::nullopt))->identity.version, 2);
  EXPECT_EQ(handle->identity.version, 1);
  handle.reset();
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace ddgan

// Registry, pins and loader together: how versions come, serve and go.
#include "engine/versions/model_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "engine/versions/model_pins.h"
#include "engine/versions/pin_store.h"
#include "engine/versions/version_loader.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

ModelIdentity Digits(int64_t version) {
  return {"digits", version, absl::StrCat("digest-", version)};
}

class ModelRegistryTest : public ::testing::Test {
 protected:
  ModelRegistryTest() { options_.keep_versions = 2; }

  // From options_; may be called again, as a new process.
  void Start() {
    if (registry_ != nullptr) {
      auto source = std::make_unique<ScriptedVersionSource>();
      source_ = source.get();
      owned_source_ = std::move(source);
      registry_.reset();
    }
    pins_.reset();
    loader_.reset();
    registry_ = std::make_unique<ModelRegistry>(options_, &observer_);
    pins_ = std::make_unique<ModelPins>(state_dir_, registry_.get());
    loader_ = std::make_unique<VersionLoader>(
        std::move(owned_source_),
        [this](ServableVersion& next, const ServableVersion* live) {
          return trial_(next, live);
        },
        registry_.get(), &observer_, &clock_);
  }

  ModelRegistry& registry() {
    if (registry_ == nullptr) Start();
    return *registry_;
  }
  ModelPins& pins() {
    registry();
    return *pins_;
  }
  VersionLoader& loader() {
    registry();
    return *loader_;
  }

  void Add(int64_t version) {
    source_->Add(MakeServableVersion("digits", version));
  }
  void AddBroken(int64_t version) {
    source_->AddBroken("digits", version, absl::DataLossError("torn"));
  }

  absl::Time Reconcile() {
    const absl::StatusOr<absl::Time> again = loader().Reconcile();
    EXPECT_TRUE(again.ok()) << again.status();
    return again.value_or(absl::InfinitePast());
  }

  // 0 if nothing is.
  int64_t Live() {
    const auto live = registry().Resolve("digits", std::nullopt);
    return live.ok() ? (*live)->identity.version : 0;
  }

  // "9 live, 8 loaded, 7 refused: torn"
  std::string States() {
    static const std::map<VersionState, std::string> kNames = {
        {VersionState::kOnDisk, "on disk"},
        {VersionState::kLoading, "loading"},
        {VersionState::kWaiting, "waiting"},
        {VersionState::kLive, "live"},
        {VersionState::kLoaded, "loaded"},
        {VersionState::kRefused, "refused"}};
    std::string states;
    for (const ModelStatus& model : registry().List()) {
      for (const ModelVersionStatus& version : model.versions) {
        absl::StrAppend(&states, states.empty() ? "" : ", ",
                        version.identity.version, " ", kNames.at(version.state),
                        version.reason.empty() ? "" : ": ", version.reason);
      }
    }
    return states;
  }

  ManualClock clock_;
  RecordingObserver observer_;
  ModelRegistry::Options options_;
  std::string state_dir_;
  VersionLoader::Trial trial_ = [](ServableVersion&, const ServableVersion*) {
    return VersionVerdict();
  };
  std::unique_ptr<ScriptedVersionSource> owned_source_ =
      std::make_unique<ScriptedVersionSource>();
  ScriptedVersionSource* source_ = owned_source_.get();
  std::unique_ptr<ModelRegistry> registry_;
  std::unique_ptr<ModelPins> pins_;
  std::unique_ptr<VersionLoader> loader_;
};

TEST_F(ModelRegistryTest, TheNewestVersionGoesLive) {
  Add(9);
  Add(10);
  EXPECT_FALSE(registry().AnyLive());
  EXPECT_EQ(Reconcile(), absl::InfiniteFuture());
  EXPECT_TRUE(registry().AnyLive());
  EXPECT_THAT(source_->loads(), ElementsAre(10));
  const auto live = registry().Resolve("digits", std::nullopt);
  ASSERT_TRUE(live.ok());
  EXPECT_EQ((*live)->identity.version, 10);
  EXPECT_EQ((*live)->loaded_at, clock_.Now());
  EXPECT_EQ(*registry().Resolve("digits", 10), *live);
  EXPECT_EQ(States(), "10 live, 9 on disk");
}

TEST_F(ModelRegistryTest, ARefusedVersionIsRememberedAndAnOlderOneServes) {
  AddBroken(3);
  Add(2);
  Add(1);
  Reconcile();
  EXPECT_EQ(States(), "3 refused: torn, 2 live, 1 on disk");
  const ModelVersionStatus live = registry().List()[0].versions[1];
  EXPECT_EQ(live.identity, Digits(2));
  EXPECT_EQ(live.shape, (ImageShape{1, 8, 8}));
  EXPECT_EQ(live.num_timesteps, 4);
  EXPECT_EQ(live.training_step, 200);
  EXPECT_EQ(live.dataset, "scripted");
  // Nothing has changed, so nothing is tried again.
  Reconcile();
  EXPECT_THAT(source_->loads(), ElementsAre(3, 2));
  std::array<int, kNumReloadResults> refused = {};
  refused[static_cast<size_t>(ReloadResult::kDamaged)] = 1;
  EXPECT_THAT(observer_.events().refused_versions,
              ElementsAre(Pair("digits", refused)));
}

TEST_F(ModelRegistryTest, AMendedVersionIsTakenAfterAMoment) {
  Add(1);
  AddBroken(2);
  Reconcile();
  AddBroken(2);  // Other files, as broken.
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelVersions::kFirstRetry);
  EXPECT_THAT(source_->loads(), ElementsAre(2, 1));
  Add(2);
  clock_.Advance(ModelVersions::kFirstRetry);
  Reconcile();
  EXPECT_EQ(States(), "2 live, 1 loaded");
  EXPECT_THAT(observer_.events().refused_versions.at("digits"),
              ::testing::Each(0));
}

TEST_F(ModelRegistryTest, EveryKindOfRefusalHasItsResult) {
  const std::pair<absl::Status, ReloadResult> cases[] = {
      {absl::DataLossError("x"), ReloadResult::kDamaged},
      {absl::NotFoundError("x"), ReloadResult::kDamaged},
      {absl::InvalidArgumentError("x"), ReloadResult::kInvalid},
      {absl::ResourceExhaustedError("x"), ReloadResult::kNoMemory},
      {absl::PermissionDeniedError("x"), ReloadResult::kError}};
  int64_t version = 0;
  for (const auto& [status, result] : cases) {
    source_->AddBroken("digits", ++version, status);
    Reconcile();
    EXPECT_EQ(observer_.events().reloads.back().result, result) << status;
    EXPECT_EQ(observer_.events().reloads.back().reason, status);
    EXPECT_EQ(
        registry().List()[0].versions[0].state,
        result == ReloadResult::kNoMemory || result == ReloadResult::kError
            ? VersionState::kWaiting
            : VersionState::kRefused);
  }
}

TEST_F(ModelRegistryTest, AReasonIsShortWhateverAFileHolds) {
  source_->Add(MakeServableVersion("digits", 1));
  std::string long_name;
  while (long_name.size() < 100'000) long_name += "\xc3\xa4x";
  source_->AddBroken("digits", 2, absl::InvalidArgumentError(long_name));
  Reconcile();
  const std::string reason(observer_.events().reloads.front().reason.message());
  EXPECT_EQ(reason, long_name.substr(0, 999) + "...");
  EXPECT_THAT(States(), HasSubstr(absl::StrCat("2 refused: ", reason)));
}

TEST_F(ModelRegistryTest, WhatMayMendItselfIsTriedAgainLaterAndLater) {
  source_->AddBroken("digits", 1, absl::UnavailableError("every lane is out"));
  absl::Duration delay = ModelVersions::kFirstRetry;
  for (int attempt = 1; attempt <= 9; ++attempt) {
    const absl::Time again = Reconcile();
    EXPECT_THAT(source_->loads(), SizeIs(attempt));
    EXPECT_EQ(again - clock_.Now(), delay);
    delay = std::min(2 * delay, ModelVersions::kLongestRetry);
    clock_.Advance(again - clock_.Now());
  }
  // Other files are not to blame for it.
  source_->AddBroken("digits", 1, absl::UnavailableError("every lane is out"));
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelVersions::kFirstRetry);
  Add(1);
  clock_.Advance(ModelVersions::kFirstRetry);
  Reconcile();
  EXPECT_EQ(Live(), 1);
}

VersionVerdict TooBright() {
  return {ReloadResult::kCanary, absl::FailedPreconditionError("too bright")};
}

TEST_F(ModelRegistryTest, ATrialGetsTheLiveVersionAndDecides) {
  std::vector<std::string> trials;
  trial_ = [&](ServableVersion& next, const ServableVersion* live) {
    trials.push_back(absl::StrCat(
        next.identity.version, " after ",
        live == nullptr ? "nothing" : absl::StrCat(live->canary.mean.at(0))));
    next.canary.mean = {static_cast<double>(next.identity.version)};
    clock_.Advance(absl::Seconds(2));
    if (next.identity.version == 2) {
      return TooBright();
    }
    return VersionVerdict();
  };
  for (int64_t version : {1, 2, 3}) {
    Add(version);
    Reconcile();
  }
  EXPECT_THAT(trials, ElementsAre("1 after nothing", "2 after 1", "3 after 1"));
  EXPECT_EQ(States(), "3 live, 2 refused: too bright, 1 loaded");
  // Loaded is who has passed.
  EXPECT_EQ(registry().List()[0].versions[0].loaded_at, clock_.Now());
  const RecordingObserver::Events events = observer_.events();
  ASSERT_THAT(events.reloads, SizeIs(3));
  EXPECT_EQ(events.reloads[0].model, Digits(1));
  EXPECT_EQ(events.reloads[0].result, ReloadResult::kLive);
  EXPECT_EQ(events.reloads[0].duration, absl::Seconds(2));
  EXPECT_EQ(events.reloads[1].result, ReloadResult::kCanary);
  EXPECT_THAT(events.live_versions, ElementsAre(Digits(1), Digits(3)));
  EXPECT_THAT(events.reload_phases, SizeIs(3));
}

TEST_F(ModelRegistryTest, WhatWasTooFarFromOneVersionMayBeNearAnother) {
  // 3 is far from 2 alone.
  trial_ = [&](ServableVersion& next, const ServableVersion* live) {
    if (next.identity.version == 3 && live->identity.version == 2) {
      return TooBright();
    }
    return VersionVerdict();
  };
  for (int64_t version : {1, 2, 3}) {
    Add(version);
    Reconcile();
  }
  ASSERT_EQ(States(), "3 refused: too bright, 2 live, 1 loaded");
  ASSERT_EQ(pins().RollBack("digits"), absl::StatusOr<int64_t>(1));
  Reconcile();
  ASSERT_EQ(Live(), 1);
  ASSERT_EQ(pins().Pin("digits", 3), absl::OkStatus());
  Reconcile();
  EXPECT_EQ(Live(), 3);
}

TEST_F(ModelRegistryTest, RollBackTakesOneThatOnlyWaits) {
  Add(2);
  Reconcile();
  ASSERT_EQ(Live(), 2);
  Add(1);
  Reconcile();
  trial_ = [](ServableVersion&, const ServableVersion*) {
    return VersionVerdict{ReloadResult::kError, absl::InternalError("later")};
  };
  EXPECT_EQ(pins().RollBack("digits"), absl::StatusOr<int64_t>(1));
  Reconcile();
  ASSERT_EQ(Live(), 2);
  EXPECT_EQ(pins().RollBack("digits"), absl::StatusOr<int64_t>(1));
}

TEST_F(ModelRegistryTest, AFailedStepIsTriedAgainAfterAWhile) {
  trial_ = [](ServableVersion&, const ServableVersion*) {
    return VersionVerdict{ReloadResult::kStep, absl::InternalError("NaN")};
  };
  Add(1);
  const absl::Time again = Reconcile();
  EXPECT_EQ(States(), "1 refused: NaN");
  EXPECT_LT(again, absl::InfiniteFuture());
  clock_.Advance(again - clock_.Now());
  Reconcile();
  EXPECT_THAT(source_->loads(), SizeIs(2));
}

TEST_F(ModelRegistryTest, FilesThatChangeWhileTheyAreReadAreReadAgain) {
  Add(1);
  AddBroken(2);
  source_->OnLoad([this](int64_t version) {
    source_->OnLoad(nullptr);
    if (version == 2) Add(2);
  });
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelVersions::kFirstRetry);
  clock_.Advance(ModelVersions::kFirstRetry);
  Reconcile();
  EXPECT_EQ(Live(), 2);
}

// Such as those of a copy under way: what was found holds for them no more.
TEST_F(ModelRegistryTest, DamagedFilesThatChangeMeanwhileAreReadAgain) {
  Add(1);
  AddBroken(2);
  source_->OnLoad([this](int64_t version) {
    source_->OnLoad(nullptr);
    if (version == 2) AddBroken(2);
  });
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelVersions::kFirstRetry);
  EXPECT_EQ(Live(), 1);
}

TEST_F(ModelRegistryTest, AVersionThatVanishesWhileItIsReadLeavesNoTrace) {
  Add(1);
  Add(2);
  source_->OnLoad([this](int64_t version) {
    if (version == 2) source_->Remove("digits", 2);
  });
  Reconcile();
  EXPECT_EQ(States(), "1 live");
}

TEST_F(ModelRegistryTest, ABrokenModelDoesNotKeepAnotherFromServing) {
  source_->AddBroken("cifar10", 1, absl::DataLossError("torn"));
  source_->AddEmpty("locked", absl::PermissionDeniedError("not readable"));
  Add(1);
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelVersions::kFirstRetry);
  EXPECT_TRUE(registry().Resolve("digits", std::nullopt).ok());
  // It is the only one that serves, so it needs no name.
  EXPECT_TRUE(registry().Resolve("", std::nullopt).ok());
  EXPECT_EQ(registry().Resolve("cifar10", std::nullopt).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(registry().List(), SizeIs(2));
}

TEST_F(ModelRegistryTest, AnAbsentRootIsNotFoundAndTakesNothingAway) {
  Add(1);
  Reconcile();
  source_->RemoveRoot();
  EXPECT_EQ(loader().Reconcile().status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Live(), 1);
}

TEST_F(ModelRegistryTest, UnknownNamesAreAnsweredWithWhatThereIs) {
  source_->Add(MakeServableVersion("cifar10", 5));
  Add(3);
  Reconcile();
  Add(4);
  Reconcile();
  EXPECT_EQ(registry().Resolve("faces", std::nullopt).status(),
            absl::NotFoundError(
                "no model \"faces\" is served; served: cifar10, digits"));
  EXPECT_EQ(registry().Resolve("digits", 5).status(),
            absl::NotFoundError("model \"digits\" has no version 5 that is "
                                "served; served: 3, 4"));
  EXPECT_EQ(registry().Resolve("", std::nullopt).status(),
            absl::InvalidArgumentError("model is empty, but several are "
                                       "served; one of: cifar10, digits"));
  EXPECT_EQ(pins().Pin("faces", 1),
            absl::NotFoundError(
                "there is no model \"faces\"; there are: cifar10, digits"));
  EXPECT_EQ(
      pins().Pin("digits", 5),
      absl::NotFoundError("model \"digits\" has no version 5; on disk: 3, 4"));
  EXPECT_EQ(pins().Unpin("faces"),
            absl::NotFoundError("there is no model \"faces\""));
  EXPECT_EQ(pins().RollBack("faces").status(),
            absl::NotFoundError("no model \"faces\" is served"));
}

TEST_F(ModelRegistryTest, OfManyModelsTheFirstTenAreNamed) {
  for (int number = 1; number <= 10; ++number) {
    source_->Add(MakeServableVersion(
        absl::StrCat("m", absl::Dec(number, absl::kZeroPad2)), 1));
  }
  Reconcile();
  const std::string ten = "m01, m02, m03, m04, m05, m06, m07, m08, m09, m10";
  EXPECT_EQ(registry().Resolve("", std::nullopt).status().message(),
            "model is empty, but several are served; one of: " + ten);
  source_->Add(MakeServableVersion("m11", 1));
  source_->Add(MakeServableVersion("m12", 1));
  Reconcile();
  EXPECT_EQ(
      registry().Resolve("", std::nullopt).status().message(),
      "model is empty, but several are served; one of: " + ten + ", 2 more");
  EXPECT_EQ(registry().Resolve("faces", std::nullopt).status().message(),
            "no model \"faces\" is served; served: " + ten + ", 2 more");
  EXPECT_EQ(pins().Pin("faces", 1).message(),
            "there is no model \"faces\"; there are: " + ten + ", 2 more");
}

TEST_F(ModelRegistryTest, AnOldVersionIsFreedWithItsLastUserAndOffItsThread) {
  options_.keep_versions = 1;
  Add(1);
  Reconcile();
  auto handle = *registry().Resolve("digits", std::nullopt);
  const std::weak_ptr<const Model> weights = handle->model;
  Add(2);
  source_->Remove("digits", 1);
  Reconcile();
  EXPECT_EQ(States(), "2 live");
  EXPECT_EQ(handle->identity.version, 1);
  EXPECT_THAT(observer_.events().unloaded, IsEmpty());
  bool woken = false;
  registry().SetWake([&] { woken = true; });
  handle.reset();
  EXPECT_TRUE(woken);
  Reconcile();
  EXPECT_THAT(observer_.events().unloaded, ElementsAre(Digits(1)));
  EXPECT_EQ(weights.use_count(), 0);
  registry().SetWake(nullptr);
}

TEST_F(ModelRegistryTest, AVersionThatIsLoadedAgainIsNotToldAsUnloaded) {
  options_.keep_versions = 1;
  Add(1);
  Reconcile();
  auto handle = *registry().Resolve("digits", std::nullopt);
  Add(2);
  Reconcile();
  ASSERT_EQ(pins().Pin("digits", 1), absl::OkStatus());
  Reconcile();
  EXPECT_EQ(Live(), 1);
  handle.reset();
  Reconcile();
  EXPECT_THAT(observer_.events().unloaded, ElementsAre(Digits(2)));
}

TEST_F(ModelRegistryTest, AHandleMayOutliveTheRegistry) {
  Add(1);
  Reconcile();
  const auto handle = *registry().Resolve("digits", std::nullopt);
  registry_.reset();
  EXPECT_EQ(handle->identity.version, 1);
}

// As what a lost lane holds.
TEST_F(ModelRegistryTest, ALoadDoesNotWaitForEverForWhatIsNeverGivenBack) {
  options_.keep_versions = 1;
  options_.max_model_bytes = 2500;  // Each takes 1000.
  Add(1);
  Reconcile();
  const auto kept = *registry().Resolve("digits", std::nullopt);
  Add(2);
  Reconcile();  // 1 drains.
  Add(3);
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelRegistry::kLongestDrain);
  EXPECT_EQ(
      States(),
      "3 waiting: waits for the memory of versions that are still in use, "
      "2 live, 1 on disk");
  clock_.Advance(ModelRegistry::kLongestDrain);
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelVersions::kFirstRetry);
  EXPECT_THAT(States(), HasSubstr("3 waiting: needs about"));
}

TEST_F(ModelRegistryTest, ALoadWaitsForRoomOrSaysThatThereIsNone) {
  options_.keep_versions = 1;
  options_.max_model_bytes = 2500;  // Each takes 1000.
  Add(1);
  Reconcile();
  auto first = *registry().Resolve("digits", std::nullopt);
  Add(2);
  Reconcile();  // 1 drains.
  Add(3);
  std::string told;
  const auto watch = registry().Watch([&] { told = States(); });
  Reconcile();
  EXPECT_EQ(told, States());
  EXPECT_EQ(
      States(),
      "3 waiting: waits for the memory of versions that are still in use, "
      "2 live, 1 on disk");
  first.reset();
  Reconcile();
  EXPECT_EQ(States(), "3 live, 2 on disk, 1 on disk");

  ServableVersion large = MakeServableVersion("digits", 4);
  large.bytes = 2 << 20;
  source_->Add(large);
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelVersions::kFirstRetry);
  EXPECT_THAT(States(),
              HasSubstr("4 waiting: needs about 2 MiB; 0 of the 0 MiB "
                        "for models are free, 3 live"));
}

// One of float16, for instance, whose layers are made of float32.
TEST_F(ModelRegistryTest, AVersionThatTakesMoreThanItsFileSaysWaitsForRoom) {
  options_.max_model_bytes = 2500;
  Add(1);
  Reconcile();
  Add(2);
  Reconcile();
  ASSERT_EQ(States(), "2 live, 1 loaded");
  ServableVersion large = MakeServableVersion("digits", 3);
  large.bytes = 1400;
  source_->Add(large, /*weights_bytes=*/250);
  int trials = 0;
  trial_ = [&trials](ServableVersion&, const ServableVersion*) {
    ++trials;
    return VersionVerdict();
  };
  EXPECT_EQ(Reconcile(), clock_.Now() + ModelVersions::kFirstRetry);
  EXPECT_THAT(States(), HasSubstr("3 waiting: needs about"));
  EXPECT_EQ(trials, 0);
  // Now that its size is known, what is kept makes room.
  clock_.Advance(ModelVersions::kFirstRetry);
  Reconcile();
  EXPECT_EQ(States(), "3 live, 2 loaded, 1 on disk");
  EXPECT_EQ(trials, 1);
}

TEST_F(ModelRegistryTest, AChangedFileOfALoadedVersionIsToldAndNotTaken) {
  Add(1);
  Reconcile();
  const auto before = registry().Resolve("digits", std::nullopt).value();
  Add(1);
  Reconcile();
  EXPECT_EQ(registry().Resolve("digits", std::nullopt).value(), before);
  EXPECT_THAT(States(), HasSubstr("1 live: its files have changed"));
}

TEST_F(ModelRegistryTest, APinToALoadedVersionHoldsAtOnce) {
  Add(1);
  Reconcile();
  Add(2);
  Reconcile();
  ASSERT_EQ(pins().Pin("digits", 1), absl::OkStatus());
  EXPECT_EQ(States(), "2 loaded, 1 live");
  EXPECT_EQ(registry().List()[0].pinned, 1);
  Add(3);
  Reconcile();
  EXPECT_EQ(States(), "3 on disk, 2 loaded, 1 live");
  ASSERT_EQ(pins().Unpin("digits"), absl::OkStatus());
  Reconcile();
  EXPECT_EQ(Live(), 3);
  EXPECT_THAT(observer_.events().pins,
              ElementsAre(Pair("digits", 1), Pair("digits", std::nullopt)));
}

TEST_F(ModelRegistryTest, APinToAVersionOnDiskHoldsOnceItIsLoaded) {
  Add(1);
  Add(2);
  Reconcile();
  bool woken = false;
  registry().SetWake([&] { woken = true; });
  ASSERT_EQ(pins().Pin("digits", 1), absl::OkStatus());
  EXPECT_TRUE(woken);
  EXPECT_EQ(Live(), 2);
  Reconcile();
  EXPECT_EQ(Live(), 1);
  registry().SetWake(nullptr);
}

TEST_F(ModelRegistryTest, ARefusedVersionCannotBePinned) {
  AddBroken(2);
  Add(1);
  Reconcile();
  EXPECT_EQ(pins().Pin("digits", 2),
            absl::FailedPreconditionError(
                "version 2 of model \"digits\" is refused: torn"));
  EXPECT_EQ(registry().List()[0].pinned, std::nullopt);
}

TEST_F(ModelRegistryTest, RollBackPrefersWhatHasServedBefore) {
  options_.keep_versions = 3;
  Add(1);
  Reconcile();
  EXPECT_EQ(pins().RollBack("digits").status(),
            absl::FailedPreconditionError(
                "model \"digits\" has no sound version before 1"));
  Add(3);
  Reconcile();
  Add(2);  // Never tried, since 3 was live.
  Reconcile();
  EXPECT_EQ(pins().RollBack("digits"), absl::StatusOr<int64_t>(1));
  EXPECT_EQ(Live(), 1);
  Add(4);
  Reconcile();
  EXPECT_EQ(Live(), 1);
}

TEST_F(ModelRegistryTest, RollBackTakesOneFromDiskThatNothingSpeaksAgainst) {
  AddBroken(3);
  Add(4);
  Add(2);
  Add(1);
  Reconcile();
  ASSERT_EQ(Live(), 4);
  EXPECT_EQ(pins().RollBack("digits"), absl::StatusOr<int64_t>(3));
  Reconcile();
  EXPECT_EQ(Live(), 4);  // It turned out to be torn.
  EXPECT_EQ(pins().RollBack("digits"), absl::StatusOr<int64_t>(2));
  Reconcile();
  EXPECT_EQ(Live(), 2);
}

TEST_F(ModelRegistryTest, PinsOutliveTheProcessWithAStateFolder) {
  const TemporaryFolder state;
  state_dir_ = state.path();
  Add(1);
  Reconcile();
  Add(2);
  Reconcile();
  ASSERT_TRUE(pins().RollBack("digits").ok());
  Start();
  ASSERT_EQ(pins().Restore(), absl::OkStatus());
  Add(1);
  Add(2);
  Reconcile();
  EXPECT_EQ(States(), "2 on disk, 1 live");
  ASSERT_EQ(pins().Unpin("digits"), absl::OkStatus());
  Start();
  ASSERT_EQ(pins().Restore(), absl::OkStatus());
  Add(1);
  Add(2);
  Reconcile();
  EXPECT_EQ(Live(), 2);
}

// A write that failed after its file was there, or another server's.
TEST_F(ModelRegistryTest, AnUnpinTakesAPinAwayThatOnlyTheFileHas) {
  const TemporaryFolder state;
  state_dir_ = state.path();
  Start();
  Add(1);
  Reconcile();
  ASSERT_EQ(WritePins(state.path(), {{"digits", 1}}), absl::OkStatus());
  ASSERT_EQ(pins().Unpin("digits"), absl::OkStatus());
  EXPECT_TRUE(ReadPins(state.path())->empty());
}

TEST_F(ModelRegistryTest, APinThatCannotBeKeptIsNotInForce) {
  state_dir_ = "/proc/none";
  Add(1);
  Reconcile();
  Add(2);
  Reconcile();
  EXPECT_EQ(pins().Pin("digits", 1).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Live(), 2);
  EXPECT_EQ(registry().List()[0].pinned, std::nullopt);
}

TEST_F(ModelRegistryTest, EveryChangeIsTold) {
  int changes = 0;
  const auto watch = registry().Watch([&] { ++changes; });
  const auto changed = [&] { return std::exchange(changes, 0) > 0; };
  Reconcile();
  EXPECT_FALSE(changed());
  Add(1);
  Reconcile();
  EXPECT_TRUE(changed());
  Reconcile();
  EXPECT_FALSE(changed());
  AddBroken(2);
  Reconcile();
  EXPECT_TRUE(changed());
  source_->Remove("digits", 2);
  Reconcile();
  EXPECT_TRUE(changed());
  ASSERT_EQ(pins().Pin("digits", 1), absl::OkStatus());
  EXPECT_TRUE(changed());
}

TEST_F(ModelRegistryTest, LoadingIsSeenWhileItLasts) {
  Add(1);
  std::string states;
  source_->OnLoad([&](int64_t) { states = States(); });
  Reconcile();
  EXPECT_EQ(states, "1 loading");
}

TEST_F(ModelRegistryTest, AStoppedRegistryLoadsNothingMore) {
  Add(1);
  Reconcile();
  loader().StopLoading();
  Add(2);
  Reconcile();
  EXPECT_EQ(Live(), 1);
}

// An observer that looks at the registry, and waits for a thread that changes
// it: with a lock held over the call, neither would end.
TEST_F(ModelRegistryTest, AnObserverMayUseTheRegistryAndWaitForOthersWhoDo) {
  class CallingObserver : public RecordingObserver {
   public:
    void OnPin(const std::string& model,
               std::optional<int64_t> version) override {
      RecordingObserver::OnPin(model, version);
      if (called_.HasBeenNotified()) return;
      called_.Notify();
      EXPECT_TRUE(registry_->Resolve(model, std::nullopt).ok());
      std::thread other(
          [&] { EXPECT_EQ(pins_->Unpin(model), absl::Status()); });
      other.join();
      EXPECT_EQ(pins_->Pin(model, 1), absl::OkStatus());
    }
    ModelRegistry* registry_ = nullptr;
    ModelPins* pins_ = nullptr;

   private:
    absl::Notification called_;
  };
  CallingObserver observer;
  ModelRegistry registry(options_, &observer);
  ModelPins pins("", &registry);
  VersionLoader loader(std::move(owned_source_), trial_, &registry, &observer,
                       &clock_);
  observer.registry_ = &registry;
  observer.pins_ = &pins;
  for (const int64_t version : {1, 2}) {
    Add(version);
    ASSERT_TRUE(loader.Reconcile().ok());
  }
  int changes = 0;
  const auto watch = registry.Watch([&] {
    // A listener may also make a change, of which it is told in turn.
    if (++changes > 1) return;
    EXPECT_EQ(pins.Unpin("digits"), absl::OkStatus());
  });
  ASSERT_EQ(pins.Pin("digits", 2), absl::OkStatus());
  EXPECT_GE(changes, 2);
  // Told in the order in which they were made.
  EXPECT_THAT(observer.events().pins,
              ElementsAre(Pair("digits", 2), Pair("digits", std::nullopt),
                          Pair("digits", 1), Pair("digits", std::nullopt)));
  EXPECT_THAT(observer.events().live_versions,
              ElementsAre(Digits(1), Digits(2), Digits(1)));
}

TEST_F(ModelRegistryTest, AStopEndsALoadWithoutAWordAgainstTheVersion) {
  Add(1);
  source_->OnLoad([this](int64_t) { loader().StopLoading(); });
  Reconcile();
  EXPECT_EQ(States(), "1 on disk");
  EXPECT_THAT(observer_.events().reloads, IsEmpty());
}

TEST_F(ModelRegistryTest, AStopDuringATrialIsNotHeldAgainstTheVersion) {
  trial_ = [this](ServableVersion&, const ServableVersion*) {
    loader().StopLoading();
    return VersionVerdict{ReloadResult::kError,
                          absl::UnavailableError("the lane has stopped")};
  };
  Add(1);
  Reconcile();
  EXPECT_EQ(States(), "1 on disk");
  EXPECT_THAT(observer_.events().reloads, IsEmpty());
}

// Pins and requests come from other threads while versions come and go.
TEST_F(ModelRegistryTest, WhatIsPinnedIsLiveWhenThePinReturns) {
  options_.keep_versions = 64;
  Add(1);
  Reconcile();
  std::thread pinning([this] {
    for (int i = 0; i < 200; ++i) {
      ASSERT_EQ(pins().Pin("digits", 1), absl::OkStatus());
      EXPECT_EQ(Live(), 1);
      ASSERT_EQ(pins().Unpin("digits"), absl::OkStatus());
    }
  });
  for (int64_t version = 2; version < 40; ++version) {
    Add(version);
    Reconcile();
  }
  pinning.join();
  Reconcile();
  EXPECT_EQ(Live(), 39);
}

}  // namespace
}  // namespace ddgan

#include "engine/versions/version_lifecycle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

namespace ddgan {
namespace {

using Kind = LifecycleAction::Kind;

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

VersionFacts OnDisk(int64_t version, int64_t bytes = 10) {
  VersionFacts facts;
  facts.version = version;
  facts.on_disk = true;
  facts.bytes = bytes;
  return facts;
}

VersionFacts Refused(int64_t version,
                     absl::Time retry_at = absl::InfiniteFuture()) {
  VersionFacts facts = OnDisk(version);
  facts.retry_at = retry_at;
  return facts;
}

VersionFacts Loaded(int64_t version, uint64_t last_live = 0,
                    bool on_disk = true) {
  VersionFacts facts = OnDisk(version);
  facts.on_disk = on_disk;
  facts.loaded = true;
  facts.last_live = last_live;
  return facts;
}

ModelFacts Model(std::vector<VersionFacts> versions,
                 std::optional<int64_t> live = std::nullopt,
                 std::optional<int64_t> pinned = std::nullopt) {
  ModelFacts model;
  model.versions = std::move(versions);
  model.live = live;
  model.pinned = pinned;
  model.keep_versions = 2;
  model.free_bytes = 1000;
  model.now = kNow;
  return model;
}

void ExpectAction(const ModelFacts& model, Kind kind, int64_t version = 0) {
  const LifecycleAction action = NextLifecycleAction(model);
  EXPECT_EQ(action.kind, kind);
  EXPECT_EQ(action.version, version);
}

TEST(VersionLifecycle, TheNewestIsLoadedAndThenLive) {
  ExpectAction(Model({}), Kind::kNone);
  ExpectAction(Model({OnDisk(3), OnDisk(7), OnDisk(5)}), Kind::kLoad, 7);
  ExpectAction(Model({OnDisk(3), Loaded(7), OnDisk(5)}), Kind::kMakeLive, 7);
  ExpectAction(Model({OnDisk(3), Loaded(7, 1), OnDisk(5)}, 7), Kind::kNone);
}

TEST(VersionLifecycle, AnOlderOneIsTakenOnlyWhileNothingIsLive) {
  ExpectAction(Model({OnDisk(3), Refused(7)}), Kind::kLoad, 3);
  ExpectAction(Model({OnDisk(3), Loaded(5, 1), Refused(7)}, 5), Kind::kNone);
  // Numbers that go backwards, and a live version that vanishes from the disk.
  ExpectAction(Model({OnDisk(4), Loaded(5, 1, /*on_disk=*/false)}, 5),
               Kind::kNone);
}

TEST(VersionLifecycle, WhatIsLoadedServesBeforeANewerOneIsLoaded) {
  // 7 was published while 5 was loaded.
  ExpectAction(Model({Loaded(5), OnDisk(7)}), Kind::kMakeLive, 5);
  ExpectAction(Model({Loaded(5, 1), OnDisk(7)}, 5), Kind::kLoad, 7);
  ExpectAction(Model({Loaded(5), OnDisk(7)}, {}, 7), Kind::kMakeLive, 5);
}

TEST(VersionLifecycle, ARefusedOneIsPassedOverUntilItsTime) {
  const absl::Time later = kNow + absl::Seconds(3);
  ExpectAction(Model({Loaded(5, 1), OnDisk(6), Refused(7)}, 5), Kind::kLoad, 6);
  const LifecycleAction action =
      NextLifecycleAction(Model({Loaded(5, 1), Refused(7, later)}, 5));
  EXPECT_EQ(action.kind, Kind::kNone);
  EXPECT_EQ(action.look_again, later);
  ExpectAction(Model({Loaded(5, 1), Refused(7, kNow)}, 5), Kind::kLoad, 7);
}

TEST(VersionLifecycle, APinWinsOverNewerAndOlderOnes) {
  ExpectAction(Model({Loaded(5, 1), OnDisk(3), OnDisk(9)}, 5, 3), Kind::kLoad,
               3);
  ExpectAction(Model({Loaded(5, 2), Loaded(3, 1), OnDisk(9)}, 5, 3),
               Kind::kMakeLive, 3);
  ExpectAction(Model({Loaded(5, 2), Loaded(3, 3), OnDisk(9)}, 3, 3),
               Kind::kNone);
  // It cannot be had: what is live stays.
  ExpectAction(Model({Loaded(5, 1), Refused(3), OnDisk(9)}, 5, 3), Kind::kNone);
  ExpectAction(Model({Loaded(5, 1), OnDisk(9)}, 5, 3), Kind::kNone);
  // And with nothing live, what is nearest below it, else the newest.
  ExpectAction(Model({OnDisk(1), OnDisk(2), Refused(3), OnDisk(9)}, {}, 3),
               Kind::kLoad, 2);
  ExpectAction(Model({OnDisk(8), OnDisk(9)}, {}, 3), Kind::kLoad, 9);
}

TEST(VersionLifecycle, WhatWasLiveLastStaysLoaded) {
  ExpectAction(Model({Loaded(7, 3), Loaded(6, 2), Loaded(5, 1)}, 7),
               Kind::kUnload, 5);
  // By when they were live, not by number; never the live one.
  ExpectAction(Model({Loaded(7, 1), Loaded(6, 2), Loaded(5, 3)}, 5, 5),
               Kind::kUnload, 7);
  ExpectAction(Model({Loaded(7, 3), Loaded(6, 2)}, 7), Kind::kNone);
}

TEST(VersionLifecycle, ALoadNeedsRoom) {
  ModelFacts model = Model({Loaded(6, 2), Loaded(5, 1), OnDisk(7, 50)}, 6);
  model.free_bytes = 50;
  ExpectAction(model, Kind::kLoad, 7);
  model.free_bytes = 49;
  ExpectAction(model, Kind::kUnload, 5);
  // 10 of version 5 would not be enough.
  model.free_bytes = 39;
  ExpectAction(model, Kind::kNoRoom, 7);
  model.free_bytes = 40;
  ExpectAction(model, Kind::kUnload, 5);
  model.versions = {Loaded(6, 2), OnDisk(7, 50)};
  model.drained_by = model.now + absl::Seconds(1);
  ExpectAction(model, Kind::kWaitForRoom, 7);
  EXPECT_EQ(NextLifecycleAction(model).look_again, model.drained_by);
  model.drained_by = model.now;
  ExpectAction(model, Kind::kNoRoom, 7);
}

TEST(VersionLifecycle, NothingIsUnloadedWhereWhatDrainsIsEnough) {
  ModelFacts model = Model({Loaded(6, 2), Loaded(5, 1), OnDisk(7, 50)}, 6);
  model.free_bytes = 40;
  model.draining_bytes = 10;
  model.drained_by = model.now + absl::Seconds(1);
  ExpectAction(model, Kind::kWaitForRoom, 7);
  model.draining_bytes = 9;
  ExpectAction(model, Kind::kUnload, 5);
  // What should have drained by now may never.
  model.draining_bytes = 10;
  model.drained_by = model.now;
  ExpectAction(model, Kind::kUnload, 5);
}

TEST(VersionLifecycle, RetriesBackOff) {
  const auto delay = [](int failures) {
    return RetryDelay(failures, absl::Seconds(1), absl::Seconds(60));
  };
  EXPECT_EQ(delay(1), absl::Seconds(1));
  EXPECT_EQ(delay(2), absl::Seconds(2));
  EXPECT_EQ(delay(6), absl::Seconds(32));
  EXPECT_EQ(delay(7), absl::Seconds(60));
  EXPECT_EQ(delay(1'000'000'000), absl::Seconds(60));
}

// A model's world, at the mercy of a random operator, publisher and memory.
class RandomWorld {
 public:
  explicit RandomWorld(uint64_t seed) : random_(seed) {
    keep_versions_ = 1 + Draw(4);
    // Room for the live one and one that is loaded beside it, at least.
    budget_ = 2 * kBytes + Draw(4) * kBytes;
  }

  void Disturb() {
    switch (Draw(8)) {
      case 0:
      case 1:
        disk_[1 + Draw(12)] = Draw(3) > 0;
        break;
      case 2:
        disk_.erase(1 + Draw(12));
        break;
      case 3:
        pinned_ = 1 + Draw(12);
        break;
      case 4:
        pinned_.reset();
        break;
      case 5:  // An image in flight holds a version that is given up.
        hold_next_ = true;
        break;
      case 6:
        draining_ = 0;
        break;
      case 7:  // Files change: good ones go bad, bad ones good.
        for (auto& [version, sound] : disk_) {
          if (Draw(4) > 0) continue;
          sound = !sound;
          tried_.erase(version);
        }
        break;
    }
    std::erase_if(tried_, [&](int64_t v) { return !disk_.contains(v); });
  }

  // Carries out actions until there is none, and checks each.
  void Settle() {
    for (int actions = 0;; ++actions) {
      ASSERT_LT(actions, 100) << "it never comes to rest";
      const ModelFacts facts = Facts();
      const LifecycleAction action = NextLifecycleAction(facts);
      switch (action.kind) {
        case Kind::kWaitForRoom:
          ASSERT_GT(draining_, 0);
          ASSERT_LT(facts.free_bytes, kBytes);
          [[fallthrough]];
        case Kind::kNone:
          CheckAtRest(facts);
          return;
        case Kind::kLoad:
          ASSERT_TRUE(disk_.contains(action.version));
          ASSERT_FALSE(loaded_.contains(action.version));
          ASSERT_FALSE(tried_.contains(action.version)) << "tried twice";
          ASSERT_GE(facts.free_bytes, kBytes);
          if (disk_[action.version]) {
            loaded_[action.version] = 0;
          } else {
            tried_.insert(action.version);
          }
          break;
        case Kind::kMakeLive:
          ASSERT_TRUE(loaded_.contains(action.version));
          ASSERT_NE(live_, action.version);
          ASSERT_TRUE(!live_ || pinned_ == action.version ||
                      action.version > *live_)
              << "backwards without a pin";
          live_ = action.version;
          loaded_[action.version] = ++live_count_;
          break;
        case Kind::kUnload:
          ASSERT_TRUE(loaded_.contains(action.version));
          ASSERT_NE(live_, action.version) << "nothing would be live";
          ASSERT_TRUE(loaded_.size() + (live_ ? 0 : 1) >
                          static_cast<size_t>(keep_versions_) ||
                      facts.free_bytes + draining_ < kBytes)
              << "what drains is enough";
          loaded_.erase(action.version);
          if (hold_next_) draining_ += kBytes;
          hold_next_ = false;
          break;
        case Kind::kNoRoom:
          ASSERT_EQ(draining_, 0);
          ASSERT_LT(facts.free_bytes, kBytes);
          tried_.insert(action.version);
          break;
      }
    }
  }

 private:
  static constexpr int64_t kBytes = 10;

  int Draw(int bound) { return static_cast<int>(random_() % bound); }

  ModelFacts Facts() const {
    ModelFacts facts;
    facts.live = live_;
    facts.pinned = pinned_;
    facts.keep_versions = keep_versions_;
    if (draining_ > 0) facts.drained_by = kNow + absl::Seconds(1);
    facts.draining_bytes = draining_;
    facts.free_bytes =
        budget_ - draining_ - kBytes * static_cast<int64_t>(loaded_.size());
    facts.now = kNow;
    for (int64_t version = 1; version <= 12; ++version) {
      VersionFacts one;
      one.version = version;
      one.bytes = kBytes;
      one.on_disk = disk_.contains(version);
      if (tried_.contains(version)) one.retry_at = absl::InfiniteFuture();
      if (const auto found = loaded_.find(version); found != loaded_.end()) {
        one.loaded = true;
        one.last_live = found->second;
      }
      if (one.on_disk || one.loaded) facts.versions.push_back(one);
    }
    return facts;
  }

  void CheckAtRest(const ModelFacts& facts) const {
    EXPECT_LE(loaded_.size(), static_cast<size_t>(keep_versions_));
    EXPECT_GE(facts.free_bytes, 0);
    if (live_) {
      EXPECT_TRUE(loaded_.contains(*live_));
    }
    if (facts.free_bytes < kBytes) return;  // Something waits for room.
    const auto can_be_had = [&](int64_t version) {
      return loaded_.contains(version) ||
             (disk_.contains(version) && !tried_.contains(version));
    };
    if (pinned_ && can_be_had(*pinned_)) {
      EXPECT_EQ(live_, pinned_);
      return;
    }
    for (const auto& [version, sound] : disk_) {
      if (!can_be_had(version)) continue;
      EXPECT_TRUE(live_.has_value());
      if (!pinned_) {
        EXPECT_GE(*live_, version);
      }
    }
  }

  std::mt19937_64 random_;
  int keep_versions_;
  int64_t budget_;
  std::map<int64_t, bool> disk_;  // Whether the version is sound.
  std::set<int64_t> tried_;       // In vain, with these files.
  std::map<int64_t, uint64_t> loaded_;
  std::optional<int64_t> live_;
  std::optional<int64_t> pinned_;
  uint64_t live_count_ = 0;
  int64_t draining_ = 0;
  bool hold_next_ = false;
};

TEST(VersionLifecycle, WhateverHappensAServedModelStaysServedWithinItsMemory) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    RandomWorld world(seed);
    for (int round = 0; round < 40; ++round) {
      world.Disturb();
      world.Settle();
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace ddgan

#include "server/calls/image_cache.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Answer = ImageCache::Answer;

constexpr int64_t kPlenty = 1 << 20;

ImageCache::Image ImageOf(const std::string& bytes) {
  return std::make_shared<const std::vector<std::string>>(1, bytes);
}

const MakingTurn kBatchTurn = {.caller = "",
                               .request_class = RequestClass::kBatch};

MakingTurn By(absl::Time deadline) {
  return {.caller = "", .deadline = deadline};
}

// Notes what it is told.
class NotedAsker : public ImageCache::Asker {
 public:
  void OnImageMade(uint32_t position, ImageCache::Image image) override {
    made.emplace_back(position, image->front());
  }
  void OnTakeOver(uint32_t position) override {
    taken_over.push_back(position);
  }

  std::vector<std::pair<uint32_t, std::string>> made;
  std::vector<uint32_t> taken_over;
};

ImageCache::Want WantOf(const std::shared_ptr<NotedAsker>& asker) {
  return {.asker = asker, .position = 0, .turn = {}};
}

class NotedEvents : public CallObserver {
 public:
  void OnImageAsked(ImageSource source) override { ++asked[source]; }
  void OnImageKept(int64_t bytes, int evicted) override {
    kept_bytes = bytes;
    evictions += evicted;
  }

  std::map<ImageSource, int> asked;
  int64_t kept_bytes = 0;
  int evictions = 0;
};

class ImageCacheTest : public ::testing::Test {
 protected:
  Answer Ask(const std::string& key, const std::shared_ptr<NotedAsker>& asker,
             const MakingTurn& turn = {}, uint32_t position = 0) {
    return cache_.Ask(key, {.asker = asker, .position = position, .turn = turn})
        .answer;
  }

  static std::shared_ptr<NotedAsker> NewAsker() {
    return std::make_shared<NotedAsker>();
  }

  // So much is on its way that the next does not come soon.
  void FillWithWork() {
    for (int i = 0; i <= ImageCache::kFewAhead; ++i) {
      ASSERT_EQ(Ask(absl::StrCat("work ", i), busy_), Answer::kMake);
    }
  }

  NotedEvents events_;
  ImageCache cache_{kPlenty, &events_};
  const std::shared_ptr<NotedAsker> busy_ = NewAsker();
};

TEST_F(ImageCacheTest, WhatWasPublishedIsKept) {
  const auto maker = NewAsker();
  EXPECT_EQ(Ask("a", maker), Answer::kMake);
  cache_.Publish("a", ImageOf("picture a"));
  const ImageCache::Found found = cache_.Ask("a", WantOf(maker));
  EXPECT_EQ(found.answer, Answer::kKept);
  EXPECT_THAT(*found.image, ElementsAre("picture a"));
  EXPECT_EQ(Ask("b", maker), Answer::kMake);
  EXPECT_THAT(maker->made, IsEmpty());  // It knew.
  EXPECT_EQ(events_.asked[ImageSource::kKept], 1);
  EXPECT_EQ(events_.asked[ImageSource::kMade], 2);
  EXPECT_EQ(events_.kept_bytes, cache_.bytes());
}

TEST_F(ImageCacheTest, AllWhoAskWhileItIsMadeGetIt) {
  const auto maker = NewAsker();
  const auto first = NewAsker();
  const auto second = NewAsker();
  EXPECT_EQ(Ask("a", maker), Answer::kMake);
  EXPECT_EQ(Ask("a", first, {}, 3), Answer::kJoined);
  EXPECT_EQ(Ask("a", second, {}, 5), Answer::kJoined);
  EXPECT_EQ(Ask("a", second, {}, 6), Answer::kJoined);  // Twice in one call.
  EXPECT_THAT(first->made, IsEmpty());
  cache_.Publish("a", ImageOf("picture a"));
  EXPECT_THAT(first->made, ElementsAre(std::pair(3, "picture a")));
  EXPECT_THAT(second->made, ElementsAre(std::pair(5, "picture a"),
                                        std::pair(6, "picture a")));
  EXPECT_EQ(events_.asked[ImageSource::kJoined], 3);
  cache_.Publish("a", ImageOf("picture a"));
  EXPECT_EQ(first->made.size(), 1u);
}

TEST_F(ImageCacheTest, TheMostUrgentOfThoseWhoWaitTakesOver) {
  const auto maker = NewAsker();
  const auto batch = NewAsker();
  const auto slow = NewAsker();
  const auto urgent = NewAsker();
  const absl::Time soon = absl::UnixEpoch();
  Ask("a", maker, By(soon));
  EXPECT_EQ(Ask("a", batch, kBatchTurn), Answer::kJoined);
  EXPECT_EQ(Ask("a", slow), Answer::kJoined);
  EXPECT_EQ(Ask("a", urgent, By(soon + absl::Seconds(1)), 7), Answer::kJoined);
  cache_.GiveUp("a", maker.get(), 0);
  EXPECT_THAT(urgent->taken_over, ElementsAre(7));
  EXPECT_THAT(slow->taken_over, IsEmpty());
  EXPECT_THAT(batch->taken_over, IsEmpty());
  cache_.Publish("a", ImageOf("picture a"));
  EXPECT_EQ(slow->made.size(), 1u);
  EXPECT_EQ(batch->made.size(), 1u);
  EXPECT_THAT(urgent->made, IsEmpty());
}

TEST_F(ImageCacheTest, OnlyItsMakerGivesUpAnImage) {
  const auto maker = NewAsker();
  const auto waiting = NewAsker();
  Ask("a", maker, {}, 1);
  Ask("a", waiting);
  cache_.GiveUp("a", waiting.get(), 0);
  cache_.GiveUp("a", maker.get(), 2);
  cache_.GiveUp("b", maker.get(), 1);
  EXPECT_THAT(waiting->taken_over, IsEmpty());
  cache_.GiveUp("a", maker.get(), 1);
  EXPECT_THAT(waiting->taken_over, ElementsAre(0));
}

TEST_F(ImageCacheTest, WhoLeavesIsNotTold) {
  const auto maker = NewAsker();
  const auto waiting = NewAsker();
  Ask("a", maker);
  Ask("a", waiting, {}, 2);
  EXPECT_FALSE(cache_.Leave("a", waiting.get(), 1));
  EXPECT_FALSE(cache_.Leave("a", maker.get(), 0));
  EXPECT_TRUE(cache_.Leave("a", waiting.get(), 2));
  EXPECT_FALSE(cache_.Leave("a", waiting.get(), 2));
  cache_.GiveUp("a", maker.get(), 0);
  EXPECT_THAT(waiting->taken_over, IsEmpty());
  EXPECT_EQ(Ask("a", waiting), Answer::kMake);
}

TEST_F(ImageCacheTest, WhatNobodyElseMayWaitForIsMadeSeveralTimes) {
  FillWithWork();
  const auto one = NewAsker();
  const auto other = NewAsker();
  const auto retry = NewAsker();
  EXPECT_EQ(Ask("a", one, {.caller = "one"}), Answer::kMake);
  EXPECT_EQ(Ask("a", other, {.caller = "other"}), Answer::kMake);
  EXPECT_EQ(Ask("a", retry, {.caller = "other"}), Answer::kJoined);
  // The first picture is there for all.
  cache_.Publish("a", ImageOf("picture a"));
  EXPECT_EQ(retry->made.size(), 1u);
  cache_.GiveUp("a", other.get(), 0);
  EXPECT_THAT(retry->taken_over, IsEmpty());
}

// Those who wait for one who gives up need not be allowed to wait for each
// other.
TEST_F(ImageCacheTest, ThoseWhoMayNotWaitForTheNewMakerMakeItThemselves) {
  const auto maker = NewAsker();
  const auto one = NewAsker();
  const auto other = NewAsker();
  Ask("a", maker);  // Little is ahead of it yet.
  FillWithWork();
  EXPECT_EQ(Ask("a", one, {.caller = "one"}), Answer::kJoined);
  EXPECT_EQ(Ask("a", other, {.caller = "other"}), Answer::kJoined);
  cache_.GiveUp("a", maker.get(), 0);
  EXPECT_THAT(one->taken_over, ElementsAre(0));
  EXPECT_THAT(other->taken_over, ElementsAre(0));
}

TEST_F(ImageCacheTest, WhatWasNotAskedForForTheLongestTimeGoesFirst) {
  const auto asker = NewAsker();
  const int64_t each = ImageCache::BytesOf("a", ImageOf("picture a"));
  ImageCache cache(3 * each, &events_);
  const auto publish = [&cache](const std::string& key) {
    cache.Publish(key, ImageOf(absl::StrCat("picture ", key)));
  };
  for (const char* key : {"a", "b", "c"}) publish(key);
  EXPECT_EQ(cache.bytes(), 3 * each);
  EXPECT_EQ(cache.Ask("a", WantOf(asker)).answer, Answer::kKept);
  publish("d");
  EXPECT_EQ(cache.bytes(), 3 * each);
  EXPECT_EQ(events_.evictions, 1);
  EXPECT_EQ(cache.Ask("b", WantOf(asker)).answer, Answer::kMake);
  for (const char* key : {"a", "c", "d"}) {
    EXPECT_EQ(cache.Ask(key, WantOf(asker)).answer, Answer::kKept) << key;
  }
}

TEST_F(ImageCacheTest, AnImageThatNeverFitsTakesNoOthersPlace) {
  const auto asker = NewAsker();
  const auto waiting = NewAsker();
  cache_.Publish("a", ImageOf("picture a"));
  cache_.Ask("large", WantOf(asker));
  cache_.Ask("large", WantOf(waiting));
  cache_.Publish("large", ImageOf(std::string(kPlenty, 'x')));
  EXPECT_EQ(waiting->made.size(), 1u);
  EXPECT_EQ(Ask("a", asker), Answer::kKept);
  EXPECT_EQ(Ask("large", asker), Answer::kMake);
}

TEST(MayJoinTest, NobodyWaitsBehindALessUrgentClass) {
  const MakingTurn interactive = {.caller = "a"};
  const MakingTurn batch = {.caller = "a",
                            .request_class = RequestClass::kBatch};
  for (const bool few_ahead : {false, true}) {
    EXPECT_FALSE(MayJoin(interactive, batch, few_ahead));
    EXPECT_TRUE(MayJoin(batch, interactive, few_ahead));
    EXPECT_TRUE(MayJoin(batch, batch, few_ahead));
  }
}

TEST(MayJoinTest, NobodyWaitsBehindAllThatAStrangerAsksFor) {
  EXPECT_FALSE(MayJoin({.caller = "a"}, {.caller = "b"}, false));
  EXPECT_TRUE(MayJoin({.caller = "a"}, {.caller = "b"}, true));
  EXPECT_TRUE(MayJoin({.caller = "a"}, {.caller = "a"}, false));
}

TEST(MayJoinTest, NobodyWaitsForWhatMayComeAfterItsDeadline) {
  const absl::Time now = absl::UnixEpoch();
  const MakingTurn sooner = By(now);
  const MakingTurn later = By(now + absl::Seconds(1));
  for (const bool few_ahead : {false, true}) {
    EXPECT_FALSE(MayJoin(sooner, later, few_ahead));
    EXPECT_FALSE(MayJoin(sooner, MakingTurn(), few_ahead));
    EXPECT_TRUE(MayJoin(later, sooner, few_ahead));
    EXPECT_TRUE(MayJoin(MakingTurn(), sooner, few_ahead));
    // Two attempts with one deadline, as gRPC sends it.
    EXPECT_TRUE(MayJoin(sooner, By(now + absl::Milliseconds(5)), few_ahead));
  }
}

// An asker that plays along as a call does, and checks that it is told what it
// is owed.
class Player : public ImageCache::Asker {
 public:
  enum class State { kWaits, kMakes, kEnded };

  explicit Player(std::string key) : key_(std::move(key)) {}

  void OnImageMade(uint32_t /*position*/, ImageCache::Image image) override {
    EXPECT_EQ(state, State::kWaits) << key_;
    EXPECT_THAT(*image, ElementsAre(BytesOf(key_)));
    state = State::kEnded;
  }
  void OnTakeOver(uint32_t /*position*/) override {
    EXPECT_EQ(state, State::kWaits) << key_;
    state = State::kMakes;
  }

  const std::string& key() const { return key_; }

  // A few bytes to many, by key.
  static std::string BytesOf(const std::string& key) {
    std::string bytes;
    for (int i = 0; i < 40 * (key.back() - 'a'); ++i) bytes += key;
    return bytes;
  }

  State state = State::kWaits;

 private:
  const std::string key_;
};

TEST(ImageCachePropertyTest, InAnyOrderOfEventsEverybodyEndsOnceWithItsBytes) {
  using State = Player::State;
  for (int seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&random](size_t n) {
      return std::uniform_int_distribution<size_t>(0, n - 1)(random);
    };
    const int64_t max_bytes = 4000;
    NotedEvents events;
    ImageCache cache(max_bytes, &events);
    std::vector<std::shared_ptr<Player>> players;
    size_t hits = 0;
    const auto ask = [&] {
      const std::string key(1, static_cast<char>('a' + below(12)));
      players.push_back(std::make_shared<Player>(key));
      Player& player = *players.back();
      MakingTurn turn;
      turn.caller = below(2) == 0 ? "one" : "other";
      if (below(3) == 0) turn.request_class = RequestClass::kBatch;
      if (below(2) == 0) {
        turn.deadline = absl::UnixEpoch() + absl::Seconds(below(3));
      }
      const ImageCache::Found found =
          cache.Ask(key, {.asker = players.back(), .turn = turn});
      switch (found.answer) {
        case Answer::kKept:
          EXPECT_THAT(*found.image, ElementsAre(Player::BytesOf(key)));
          player.state = State::kEnded;
          ++hits;
          break;
        case Answer::kJoined:
          break;
        case Answer::kMake:
          player.state = State::kMakes;
          break;
      }
    };
    const auto go_on = [&](Player& player, bool last) {
      const size_t choice = below(3);
      if (player.state == State::kMakes) {
        player.state = State::kEnded;
        if (choice == 0) {
          cache.GiveUp(player.key(), &player, 0);
        } else {
          cache.Publish(player.key(), ImageOf(Player::BytesOf(player.key())));
        }
      } else if (player.state == State::kWaits && choice == 0 && !last) {
        ASSERT_TRUE(cache.Leave(player.key(), &player, 0));
        player.state = State::kEnded;
      }
    };
    for (int event = 0; event < 400; ++event) {
      if (players.empty() || below(2) == 0) {
        ask();
      } else {
        go_on(*players[below(players.size())], false);
      }
      ASSERT_LE(cache.bytes(), max_bytes);
    }
    // Whoever makes an image ends; nobody is left waiting for nobody.
    for (bool any = true; any;) {
      any = false;
      for (const auto& player : players) {
        if (player->state != State::kMakes) continue;
        any = true;
        go_on(*player, true);
      }
    }
    for (const auto& player : players) {
      ASSERT_EQ(player->state, State::kEnded) << player->key();
      // Nobody is held for longer than it waits or makes.
      ASSERT_EQ(player.use_count(), 1) << player->key();
    }
    EXPECT_EQ(events.asked[ImageSource::kKept], static_cast<int>(hits));
    EXPECT_GT(hits, 0u);
    EXPECT_GT(events.asked[ImageSource::kJoined], 0);
    EXPECT_GT(events.evictions, 0);
  }
}

}  // namespace
}  // namespace ddgan

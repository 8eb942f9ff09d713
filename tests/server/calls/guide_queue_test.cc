#include "server/calls/guide_queue.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr GuideRoom kRoom = {.images = 12, .bytes = 1200};

// Books a guide of one byte that waits.
GuideQueue::Id Add(GuideQueue* queue, const std::string& caller) {
  const std::optional<GuideQueue::Id> id =
      queue->Book(caller, {.images = 1, .bytes = 1});
  EXPECT_TRUE(id.has_value());
  queue->Add(*id);
  return *id;
}

std::vector<GuideQueue::Id> TakeAll(GuideQueue* queue) {
  std::vector<GuideQueue::Id> ids;
  while (const std::optional<GuideQueue::Id> id = queue->Next()) {
    ids.push_back(*id);
  }
  return ids;
}

// How many of a caller's guides of `bytes` find room.
int BookAll(GuideQueue* queue, const std::string& caller, int64_t bytes) {
  int booked = 0;
  while (queue->Book(caller, {.images = 1, .bytes = bytes}).has_value())
    ++booked;
  return booked;
}

TEST(GuideQueueTest, CallersTakeTurnsAndEachKeepsItsOrder) {
  GuideQueue queue(kRoom);
  const GuideQueue::Id flood1 = Add(&queue, "flood");
  const GuideQueue::Id flood2 = Add(&queue, "flood");
  const GuideQueue::Id flood3 = Add(&queue, "flood");
  const GuideQueue::Id good1 = Add(&queue, "good");
  const GuideQueue::Id good2 = Add(&queue, "good");
  const GuideQueue::Id other = Add(&queue, "other");
  EXPECT_THAT(TakeAll(&queue),
              ElementsAre(flood1, good1, other, flood2, good2, flood3));
  EXPECT_EQ(queue.Next(), std::nullopt);
}

TEST(GuideQueueTest, ACallerThatComesBackIsBehindThoseThatWait) {
  GuideQueue queue(kRoom);
  const GuideQueue::Id a1 = Add(&queue, "a");
  EXPECT_EQ(queue.Next(), a1);
  const GuideQueue::Id b = Add(&queue, "b");
  const GuideQueue::Id a2 = Add(&queue, "a");
  EXPECT_THAT(TakeAll(&queue), ElementsAre(b, a2));
}

TEST(GuideQueueTest, AGuideThatLeavesItsLineLeavesTheOthersTheirTurns) {
  GuideQueue queue(kRoom);
  const GuideQueue::Id a1 = Add(&queue, "a");
  const GuideQueue::Id a2 = Add(&queue, "a");
  const GuideQueue::Id b = Add(&queue, "b");
  const GuideQueue::Id a3 = Add(&queue, "a");
  EXPECT_TRUE(queue.Remove(a2));
  EXPECT_FALSE(queue.Remove(a2));
  EXPECT_TRUE(queue.Remove(b));
  EXPECT_THAT(TakeAll(&queue), ElementsAre(a1, a3));
  EXPECT_FALSE(queue.Remove(a1));  // It is being decoded.
  queue.Release(a1);
  EXPECT_FALSE(queue.Remove(a1));
  EXPECT_THAT(TakeAll(&queue), IsEmpty());
}

TEST(GuideQueueTest, ACallerAloneGetsHalfOfTheRoomAndMoreLeaveSomeForOthers) {
  GuideQueue queue(kRoom);
  EXPECT_EQ(BookAll(&queue, "first", 1), 6);
  EXPECT_EQ(BookAll(&queue, "second", 1), 3);
  EXPECT_EQ(BookAll(&queue, "third", 1), 1);
}

TEST(GuideQueueTest, CountsTheBytesThatPicturesUnpackTo) {
  GuideQueue queue(kRoom);
  EXPECT_FALSE(queue.Book("first", {.images = 1, .bytes = 601}).has_value());
  EXPECT_TRUE(queue.Book("first", {.images = 1, .bytes = 600}).has_value());
  EXPECT_FALSE(queue.Book("first", {.images = 1, .bytes = 1}).has_value());
  EXPECT_EQ(BookAll(&queue, "second", 100), 3);
}

TEST(GuideQueueTest, RoomThatIsGivenBackIsFreeAgain) {
  GuideQueue queue(kRoom);
  const std::optional<GuideQueue::Id> id =
      queue.Book("first", {.images = 1, .bytes = 600});
  ASSERT_TRUE(id.has_value());
  EXPECT_FALSE(queue.Book("first", {.images = 1, .bytes = 600}).has_value());
  EXPECT_EQ(queue.callers(), 1u);
  queue.Release(*id);
  EXPECT_EQ(queue.callers(), 0u);
  EXPECT_TRUE(queue.Book("first", {.images = 1, .bytes = 600}).has_value());
}

TEST(GuideQueueTest, RoomIsShareOfWhatIsFree) {
  const GuideRoom all = {.images = 10, .bytes = 100};
  const GuideRoom one = {.images = 1, .bytes = 1};
  EXPECT_TRUE(HasGuideRoom(all, {}, {}, one));
  EXPECT_TRUE(HasGuideRoom(all, {.images = 4, .bytes = 4},
                           {.images = 4, .bytes = 4}, one));
  EXPECT_FALSE(HasGuideRoom(all, {.images = 5, .bytes = 5},
                            {.images = 5, .bytes = 5}, one));
  // Others have it.
  EXPECT_FALSE(HasGuideRoom(all, {.images = 9, .bytes = 9}, {}, one));
  EXPECT_FALSE(HasGuideRoom(all, {.images = 1, .bytes = 99}, {}, one));
}

TEST(GuideQueueTest, AGuideOfManyImagesTakesTheirRoomAndNoneIsTooLarge) {
  GuideQueue queue({.images = 12, .bytes = 1200});
  EXPECT_TRUE(queue.Book("first", {.images = 4, .bytes = 1}).has_value());
  EXPECT_FALSE(queue.Book("first", {.images = 4, .bytes = 1}).has_value());
  EXPECT_TRUE(queue.Book("second", {.images = 4, .bytes = 1}).has_value());
  GuideQueue empty({.images = 12, .bytes = 1200});
  const std::optional<GuideQueue::Id> largest =
      empty.Book("first", {.images = 64, .bytes = 1});
  ASSERT_TRUE(largest.has_value());
  EXPECT_FALSE(empty.Book("first", {.images = 1, .bytes = 1}).has_value());
  empty.Release(*largest);
  EXPECT_TRUE(empty.Book("first", {.images = 6, .bytes = 1}).has_value());
}

}  // namespace
}  // namespace ddgan

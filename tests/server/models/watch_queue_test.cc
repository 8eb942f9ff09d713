#include "server/models/watch_queue.h"

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

class WatchQueueTest : public ::testing::Test {
 protected:
  // By name and live version.
  void Update(const std::vector<std::pair<std::string, int64_t>>& models) {
    v1::ListModelsResponse list;
    for (const auto& [name, live] : models) {
      v1::Model* model = list.add_models();
      model->set_name(name);
      model->set_live_version(live);
    }
    queue_.Update(list);
  }

  // The next event, as "cats 3" or "no cats"; "" if there is none.
  std::string Next() {
    const std::optional<v1::WatchModelsResponse> event = queue_.Next();
    if (!event.has_value()) return "";
    if (event->has_model()) {
      return absl::StrCat(event->model().name(), " ",
                          event->model().live_version());
    }
    return absl::StrCat("no ", event->removed_model());
  }

  std::vector<std::string> Rest() {
    std::vector<std::string> events;
    for (std::string event = Next(); !event.empty(); event = Next()) {
      events.push_back(event);
    }
    return events;
  }

  WatchQueue queue_;
};

TEST_F(WatchQueueTest, HasNothingToTellOfNoModel) {
  Update({});
  EXPECT_THAT(Rest(), IsEmpty());
}

TEST_F(WatchQueueTest, TellsEveryModelFirstAndThenThoseThatChanged) {
  Update({{"cats", 1}, {"digits", 1}, {"faces", 1}});
  EXPECT_THAT(Rest(), ElementsAre("cats 1", "digits 1", "faces 1"));
  Update({{"cats", 1}, {"digits", 2}, {"faces", 1}});
  EXPECT_THAT(Rest(), ElementsAre("digits 2"));
  Update({{"cats", 1}, {"digits", 2}, {"faces", 1}});
  EXPECT_THAT(Rest(), IsEmpty());
}

TEST_F(WatchQueueTest, SkipsWhatAModelWasInBetween) {
  Update({{"cats", 1}});
  EXPECT_EQ(Next(), "cats 1");
  Update({{"cats", 2}});
  Update({{"cats", 3}});
  EXPECT_THAT(Rest(), ElementsAre("cats 3"));
  Update({{"cats", 4}});
  Update({{"cats", 3}});  // As it was told.
  EXPECT_THAT(Rest(), IsEmpty());
}

TEST_F(WatchQueueTest, TellsThatAModelIsGoneIfItWasTold) {
  Update({{"cats", 1}, {"digits", 1}});
  EXPECT_EQ(Next(), "cats 1");
  Update({});
  EXPECT_THAT(Rest(), ElementsAre("no cats"));
  Update({{"cats", 1}});
  EXPECT_THAT(Rest(), ElementsAre("cats 1"));
}

TEST_F(WatchQueueTest, AModelThatAlwaysChangesKeepsNoOtherWaiting) {
  std::vector<std::string> told;
  for (int64_t version = 1; version <= 3; ++version) {
    Update({{"cats", version}, {"digits", 1}, {"faces", 1}});
    told.push_back(Next());
  }
  EXPECT_THAT(told, ElementsAre("cats 1", "digits 1", "faces 1"));
  EXPECT_EQ(Next(), "cats 3");
}

}  // namespace
}  // namespace ddgan

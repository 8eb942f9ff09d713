#include "client/command_line/models_command.h"

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(ModelsCommandTest, WatchesAgainWhatEndsWithAConnection) {
  const absl::Status gone = absl::UnavailableError("max_age");
  EXPECT_TRUE(IsWatchedAgain(gone, absl::Hours(2)));
  EXPECT_TRUE(IsWatchedAgain(gone, absl::Seconds(10)));
  EXPECT_FALSE(IsWatchedAgain(gone, absl::Seconds(9)));
  EXPECT_FALSE(IsWatchedAgain(absl::OkStatus(), absl::Hours(2)));
  EXPECT_FALSE(
      IsWatchedAgain(absl::DeadlineExceededError("time"), absl::Hours(2)));
}

TEST(ModelsCommandTest, NamesTheModelsThatWentWhileNobodyWatched) {
  const std::map<std::string, v1::Model> known = {
      {"cats", {}}, {"dogs", {}}, {"mice", {}}};
  v1::ListModelsResponse now;
  now.add_models()->set_name("dogs");
  now.add_models()->set_name("horses");
  EXPECT_EQ(ModelsThatWent(known, now),
            (std::vector<std::string>{"cats", "mice"}));
}

}  // namespace
}  // namespace ddgan

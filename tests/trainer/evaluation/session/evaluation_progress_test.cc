#include "trainer/evaluation/session/evaluation_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ProgressTextTest, RateAndTimeLeftAreOfWhatWasDoneNow) {
  EXPECT_EQ(
      ProgressText({"features of mnist", 1000, 61000, 400, absl::Seconds(10)}),
      "features of mnist: 1000 of 61000, 60.0 a second, 17 min left");
  EXPECT_EQ(ProgressText({"neighbours", 5, 5, 0, absl::Seconds(2)}),
            "neighbours: 5 of 5, 2.5 a second");
  EXPECT_EQ(ProgressText({"images", 3, 10, 3, absl::Seconds(2)}),
            "images: 3 of 10");
  EXPECT_THAT(ProgressText({"images", 1, 100'000, 0, absl::Seconds(1)}),
              HasSubstr("27.8 h left"));
}

TEST(EvaluationProgressTest, PrintsALineEveryTenSecondsWhereIsNoTerminal) {
  ManualClock clock;
  std::vector<std::string> lines;
  EvaluationProgress progress(
      {}, [&](const std::string& text) { lines.push_back(text); }, &clock);
  progress.Begin("images", 100);
  clock.Advance(absl::Seconds(9));
  progress.Update(9);
  EXPECT_THAT(lines, IsEmpty());
  clock.Advance(absl::Seconds(1));
  progress.Update(10);
  progress.Print("a sentence");
  clock.Advance(absl::Seconds(9));
  progress.Update(20);
  EXPECT_THAT(lines, ElementsAre("images: 10 of 100, 1.0 a second, 90 s left\n",
                                 "a sentence\n"));
}

TEST(EvaluationProgressTest, DrawsABarOnATerminalAndLeavesNothing) {
  ManualClock clock;
  std::string written;
  EvaluationProgress progress(
      {.is_terminal = true, .columns = [] { return 100; }},
      [&](const std::string& text) { written += text; }, &clock);
  progress.Begin("images", 4);
  clock.Advance(absl::Seconds(1));
  progress.Update(1);
  EXPECT_THAT(written, HasSubstr("[=====>              ] images: 1 of 4"));
  written.clear();
  progress.Print("a sentence");
  EXPECT_THAT(written, HasSubstr("a sentence\n"));
  written.clear();
  progress.End();
  EXPECT_THAT(written, HasSubstr("\r"));
  written.clear();
  progress.Update(2);
  EXPECT_THAT(written, IsEmpty());
}

}  // namespace
}  // namespace ddgan

#include "trainer/run/progress_display.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

TrainingProgress At(int64_t step) {
  TrainingProgress progress;
  progress.step = step;
  progress.total_steps = 100;
  progress.images_per_second = 1;
  return progress;
}

// What a terminal shows after `texts`, without wrapping: its lines, the last
// one being where the cursor is.
std::vector<std::string> Screen(const std::vector<std::string>& texts) {
  std::vector<std::string> lines(1);
  size_t column = 0;
  for (const std::string& text : texts) {
    for (const char c : text) {
      if (c == '\n') {
        lines.emplace_back();
        column = 0;
      } else if (c == '\r') {
        column = 0;
      } else {
        if (lines.back().size() <= column) lines.back().resize(column + 1, ' ');
        lines.back()[column++] = c;
      }
    }
  }
  for (std::string& line : lines) {
    while (!line.empty() && line.back() == ' ') line.pop_back();
  }
  return lines;
}

class ProgressDisplayTest : public ::testing::Test {
 protected:
  ProgressDisplayTest() {
    options_.is_terminal = true;
    options_.columns = [this] { return columns_; };
  }

  ProgressDisplay::Sink Sink() {
    return [this](const std::string& text) { written_.push_back(text); };
  }

  ManualClock clock_;
  ProgressDisplay::Options options_;
  int columns_ = 30;
  std::vector<std::string> written_;
};

TEST_F(ProgressDisplayTest, RedrawsOneLineAtMostFiveTimesPerSecond) {
  ProgressDisplay display(options_, Sink(), &clock_);
  for (int step = 0; step < 50; ++step) {
    display.Update(At(step));
    clock_.Advance(absl::Milliseconds(20));  // One second in all.
  }
  EXPECT_THAT(written_, SizeIs(5));
  for (const std::string& text : written_) {
    EXPECT_THAT(text, StartsWith("\r["));
    EXPECT_THAT(text, Not(HasSubstr("\n")));
    EXPECT_LE(text.size(), 30u);  // One for \r, and the last column is free.
  }
  EXPECT_THAT(Screen(written_), ElementsAre(HasSubstr("] 40/100")));
}

TEST_F(ProgressDisplayTest, EndsWithTheLastStepAndALineBreak) {
  {
    ProgressDisplay display(options_, Sink(), &clock_);
    display.Update(At(98));
    display.Update(At(99));  // Too soon to be seen.
    EXPECT_THAT(Screen(written_), ElementsAre(HasSubstr("] 98/100")));
  }
  EXPECT_THAT(Screen(written_), ElementsAre(HasSubstr("] 99/100"), ""));
}

TEST_F(ProgressDisplayTest, DrawsTheLastStepAtOnce) {
  ProgressDisplay display(options_, Sink(), &clock_);
  display.Update(At(99));
  display.Update(At(100));
  EXPECT_THAT(Screen(written_), ElementsAre(HasSubstr("] 100/100")));
  display.Finish();
  display.Finish();
  display.Print("published");
  EXPECT_THAT(Screen(written_),
              ElementsAre(HasSubstr("] 100/100"), "published", ""));
}

TEST_F(ProgressDisplayTest, PrintsAboveTheBarInOnePiece) {
  ProgressDisplay display(options_, Sink(), &clock_);
  display.Print("first");
  display.Update(At(1));
  written_.clear();
  display.Print("short");
  ASSERT_THAT(written_, SizeIs(1));
  EXPECT_THAT(Screen(written_), ElementsAre("short", HasSubstr("] 1/100")));
  display.Print("a line that is longer than the terminal is wide");
  EXPECT_THAT(written_, SizeIs(2));
  EXPECT_THAT(
      Screen(written_),
      ElementsAre("short", "a line that is longer than the terminal is wide",
                  HasSubstr("] 1/100")));
}

TEST_F(ProgressDisplayTest, FollowsAWindowThatBecomesNarrower) {
  ProgressDisplay display(options_, Sink(), &clock_);
  display.Update(At(1));
  columns_ = 24;
  clock_.Advance(absl::Seconds(1));
  display.Update(At(2));
  display.Print("x");
  for (size_t i = 1; i < written_.size(); ++i) {
    EXPECT_THAT(Screen({written_[i]}).back().size(), 23u);
  }
}

TEST_F(ProgressDisplayTest, LeavesNothingOfALongerBarBehind) {
  ProgressDisplay display(options_, Sink(), &clock_);
  columns_ = 200;
  TrainingProgress progress = At(1);
  progress.images_per_second = 1234567;
  display.Update(progress);
  clock_.Advance(absl::Seconds(1));
  progress.images_per_second = 1;
  display.Update(progress);
  EXPECT_THAT(Screen(written_), ElementsAre(EndsWith("2 min left")));
  EXPECT_THAT(Screen(written_), ElementsAre(Not(HasSubstr("leftt"))));
}

TEST_F(ProgressDisplayTest, TakesEightyColumnsWhereNobodyKnows) {
  options_.columns = nullptr;
  options_.batch_size = 1;
  ProgressDisplay display(options_, Sink(), &clock_);
  display.Update(At(1));
  EXPECT_THAT(written_, ElementsAre(SizeIs(80)));  // \r and 79.
}

TEST_F(ProgressDisplayTest, GoesOnWhenTheClockIsSetBack) {
  ProgressDisplay display(options_, Sink(), &clock_);
  display.Update(At(1));
  clock_.Advance(-absl::Hours(1));
  display.Update(At(2));
  EXPECT_THAT(written_, SizeIs(2));
}

TEST_F(ProgressDisplayTest, PrintsLinesWhereThereIsNoTerminal) {
  options_.is_terminal = false;
  options_.log_every = 25;
  {
    ProgressDisplay display(options_, Sink(), &clock_);
    for (int step = 1; step <= 60; ++step) display.Update(At(step));
    display.Print("published");
    TrainingProgress last = At(110);
    last.total_steps = 110;
    display.Update(last);
  }
  EXPECT_THAT(written_,
              ElementsAre(StartsWith("step 25/100"), StartsWith("step 50/100"),
                          "published\n", StartsWith("step 110/110")));
  for (const std::string& text : written_) EXPECT_THAT(text, EndsWith("\n"));
}

TEST_F(ProgressDisplayTest, TheModeOverridesTheTerminal) {
  options_.mode = ProgressMode::kLines;
  ProgressDisplay(options_, Sink(), &clock_).Update(At(1));
  EXPECT_THAT(written_, ElementsAre(EndsWith("\n")));
  written_.clear();
  options_.mode = ProgressMode::kBar;
  options_.is_terminal = false;
  ProgressDisplay(options_, Sink(), &clock_).Update(At(1));
  EXPECT_THAT(written_.front(), StartsWith("\r["));
}

TEST_F(ProgressDisplayTest, WritesNothingForARunThatDidNothing) {
  { ProgressDisplay display(options_, Sink(), &clock_); }
  EXPECT_THAT(written_, IsEmpty());
}

}  // namespace
}  // namespace ddgan

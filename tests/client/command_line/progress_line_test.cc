#include "client/command_line/progress_line.h"

#include <sys/stat.h>

#include <cstdio>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

std::string ContentOf(std::FILE* file) {
  std::string content;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    content.push_back(static_cast<char>(c));
  }
  return content;
}

TEST(FormatProgressTest, ShowsRateAndTimeLeftOnceSomethingIsDone) {
  EXPECT_EQ(FormatProgress({0, 64, 0, 0}, absl::Milliseconds(3240)),
            "0/64 images, 3.2 s");
  EXPECT_EQ(FormatProgress({128, 640, 0, 0}, absl::Seconds(12)),
            "[====>               ] 128/640 images, 12.0 s, 10.7 images/s, "
            "48.0 s left");
  EXPECT_EQ(FormatProgress({1, 1000, 0, 0}, absl::Seconds(10)),
            "[>                   ] 1/1000 images, 10.0 s, 0.1 images/s, "
            "2h46m30s left");
  EXPECT_EQ(FormatProgress({64, 64, 0, 0}, absl::Seconds(8)),
            "[====================] 64/64 images, 8.0 s, 8.0 images/s, "
            "0.0 s left");
  EXPECT_EQ(FormatProgress({4294967295, 4294967295, 0, 0}, absl::Hours(1))
                .substr(0, 22),
            "[====================]");
}

TEST(FormatProgressTest, GoesByStepsWhereTheyAreKnown) {
  EXPECT_EQ(FormatProgress({0, 64, 0, 256}, absl::Milliseconds(3240)),
            "0/64 images, 0/256 steps, 3.2 s");
  EXPECT_EQ(FormatProgress({0, 64, 64, 256}, absl::Seconds(2)),
            "[=====>              ] 0/64 images, 64/256 steps, 2.0 s, 0.0 "
            "images/s, 6.0 s left");
  EXPECT_EQ(FormatProgress({64, 64, 256, 256}, absl::Seconds(8)),
            "[====================] 64/64 images, 256/256 steps, 8.0 s, 8.0 "
            "images/s, 0.0 s left");
}

// Blocks until something was drawn.
void AwaitDrawing(std::FILE* terminal) {
  struct stat about = {};
  while (fstat(fileno(terminal), &about) == 0 && about.st_size == 0) {
    absl::SleepFor(absl::Milliseconds(1));
  }
}

TEST(ProgressLineTest, DrawsWhatIsDoneAndLeavesNothingBehind) {
  std::FILE* terminal = std::tmpfile();
  ASSERT_NE(terminal, nullptr);
  ManualClock clock;
  std::ostringstream err;
  {
    ProgressLine progress(terminal, 10, &clock);
    progress.Advance(5);
    progress.SetSteps(23, 40);
    progress.Print(err, "a note");
    clock.Advance(ProgressLine::kDelay);
    AwaitDrawing(terminal);
  }
  const std::string drawn = ContentOf(terminal);
  EXPECT_THAT(drawn, HasSubstr("5/10 images, 23/40 steps, 0.5 s"));
  EXPECT_THAT(drawn, EndsWith(" \r"));
  EXPECT_EQ(err.str(), "a note\n");
  std::fclose(terminal);
}

TEST(ProgressLineTest, DrawsAnyTextAgainAndAgain) {
  std::FILE* terminal = std::tmpfile();
  ASSERT_NE(terminal, nullptr);
  ManualClock clock;
  {
    const absl::Time start = clock.Now();
    const ProgressLine progress(
        terminal,
        [](absl::Duration elapsed) {
          return absl::StrCat("at ", absl::FormatDuration(elapsed));
        },
        &clock);
    clock.Advance(ProgressLine::kDelay);
    clock.AwaitWaiterFor(start + ProgressLine::kDelay + ProgressLine::kPeriod);
    clock.Advance(ProgressLine::kPeriod);
    clock.AwaitWaiterFor(start + ProgressLine::kDelay +
                         2 * ProgressLine::kPeriod);
  }
  EXPECT_THAT(ContentOf(terminal),
              AllOf(HasSubstr("at 500ms"), HasSubstr("at 600ms")));
  std::fclose(terminal);
}

TEST(ProgressLineTest, ShowsNothingForAShortCall) {
  std::FILE* terminal = std::tmpfile();
  ASSERT_NE(terminal, nullptr);
  ManualClock clock;
  {
    const ProgressLine progress(terminal, 10, &clock);
    clock.Advance(ProgressLine::kDelay - absl::Milliseconds(1));
  }
  EXPECT_EQ(ContentOf(terminal), "");
  std::fclose(terminal);
}

TEST(ProgressLineTest, DrawsNothingWithoutATerminal) {
  std::ostringstream err;
  ProgressLine progress(nullptr, 10);
  progress.Advance(5);
  progress.Print(err, "a note");
  EXPECT_EQ(err.str(), "a note\n");
}

}  // namespace
}  // namespace ddgan

#include "client/command_line/progress_line.h"

#include <cstdio>
#include <sstream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

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

TEST(ProgressLineTest, DrawsWhatIsDoneAndLeavesNothingBehind) {
  std::FILE* terminal = std::tmpfile();
  ASSERT_NE(terminal, nullptr);
  std::ostringstream err;
  {
    ProgressLine progress(terminal, 10);
    progress.Advance(5);
    progress.SetSteps(23, 40);
    progress.Print(err, "a note");
    absl::SleepFor(absl::Milliseconds(800));
  }
  const std::string drawn = ContentOf(terminal);
  EXPECT_THAT(drawn, HasSubstr("5/10 images, 23/40 steps"));
  EXPECT_THAT(drawn, EndsWith(" \r"));
  EXPECT_EQ(err.str(), "a note\n");
  std::fclose(terminal);
}

TEST(ProgressLineTest, DrawsAnyText) {
  std::FILE* terminal = std::tmpfile();
  ASSERT_NE(terminal, nullptr);
  {
    const ProgressLine progress(terminal,
                                [](absl::Duration) { return "half done"; });
    absl::SleepFor(absl::Milliseconds(800));
  }
  EXPECT_THAT(ContentOf(terminal), HasSubstr("half done"));
  std::fclose(terminal);
}

TEST(ProgressLineTest, ShowsNothingForAShortCall) {
  std::FILE* terminal = std::tmpfile();
  ASSERT_NE(terminal, nullptr);
  { ProgressLine progress(terminal, 10); }
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

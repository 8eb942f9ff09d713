#include "engine/base/progress_bar.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ProgressBarTest, FillsWithWhatIsDone) {
  EXPECT_EQ(ProgressBar(0, 640, 20), "[>                   ]");
  EXPECT_EQ(ProgressBar(128, 640, 20), "[====>               ]");
  EXPECT_EQ(ProgressBar(639, 640, 20), "[===================>]");
  EXPECT_EQ(ProgressBar(640, 640, 20), "[====================]");
  EXPECT_EQ(ProgressBar(1, 2, 0), "[]");
}

TEST(ProgressBarTest, HoldsNumbersThatMakeNoSense) {
  EXPECT_EQ(ProgressBar(3, 2, 4), "[====]");
  EXPECT_EQ(ProgressBar(0, 0, 4), "[>   ]");
  EXPECT_EQ(ProgressBar(std::numeric_limits<uint32_t>::max(),
                        std::numeric_limits<uint32_t>::max(), 4),
            "[====]");
}

class TerminalLineTest : public ::testing::Test {
 protected:
  std::vector<std::string> written_;
  int columns_ = 11;
  TerminalLine line_{
      [this](const std::string& text) { written_.push_back(text); },
      [this] { return columns_; }};
};

TEST_F(TerminalLineTest, WritesOverWhatItShows) {
  line_.Draw("longer");
  line_.Draw("short");
  line_.Draw("again");
  EXPECT_THAT(written_, ElementsAre("\rlonger", "\rshort ", "\ragain"));
}

TEST_F(TerminalLineTest, PrintsLinesAbove) {
  line_.Draw("bar", "first\n");
  line_.Draw("bar", "second\nthird\n");
  EXPECT_THAT(written_,
              ElementsAre("\r\rfirst\nbar", "\r   \rsecond\nthird\nbar"));
}

TEST_F(TerminalLineTest, CutsOffWhatTheWindowHasNoRoomFor) {
  line_.Draw("0123456789abc");
  EXPECT_EQ(line_.Width(), 10);
  columns_ = 6;
  line_.Draw("", "x\n");
  EXPECT_THAT(written_, ElementsAre("\r0123456789", "\r     \rx\n"));
}

TEST_F(TerminalLineTest, ErasesWhatItShowsOnce) {
  line_.Erase();
  EXPECT_THAT(written_, IsEmpty());
  line_.Draw("bar");
  line_.Erase();
  line_.Erase();
  EXPECT_THAT(written_, ElementsAre("\rbar", "\r   \r"));
}

TEST_F(TerminalLineTest, BeginsAnotherLineAfterTheEnd) {
  line_.Draw("first bar");
  line_.End();
  line_.Draw("bar");
  EXPECT_THAT(written_, ElementsAre("\rfirst bar", "\n", "\rbar"));
}

TEST_F(TerminalLineTest, TakesEightyColumnsWhereNobodyKnows) {
  columns_ = 0;
  EXPECT_EQ(line_.Width(), 79);
  EXPECT_EQ(TerminalLine([](const std::string&) {}, nullptr).Width(), 79);
}

TEST(TerminalColumnsTest, AsksTheTerminal) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  const winsize size = {24, 123, 0, 0};
  ASSERT_EQ(ioctl(terminal, TIOCSWINSZ, &size), 0);
  EXPECT_EQ(TerminalColumns(terminal), 123);
  close(terminal);
  const int file = open("/dev/null", O_RDONLY);
  EXPECT_EQ(TerminalColumns(file), 0);
  close(file);
}

}  // namespace
}  // namespace ddgan

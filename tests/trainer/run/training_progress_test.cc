#include "trainer/run/training_progress.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TrainingProgress Example() {
  TrainingProgress progress;
  progress.step = 1234;
  progress.total_steps = 12060;
  progress.images = 39488;
  progress.elapsed = absl::Minutes(11);
  progress.images_per_second = 61.2;
  progress.discriminator_loss = 1.3114;
  progress.generator_loss = 0.8349;
  progress.r1 = 0.0123;
  progress.data_wait_share = 0.021;
  return progress;
}

TEST(TrainingLineTest, SaysEverything) {
  TrainingProgress progress = Example();
  progress.discriminator_gradient_norm = 0.3117;
  progress.generator_gradient_norm = 12.349;
  EXPECT_EQ(FormatTrainingLine(progress, 32),
            "step 1234/12060 (10%)  39488 images  61.2 images/s  D 1.311  "
            "G 0.835  R1 0.0123  |grad D| 0.312  |grad G| 12.3  data 2%  "
            "11 min so far  1 h 34 min left");
}

TEST(TrainingLineTest, LeavesOutWhatWasNotComputed) {
  TrainingProgress progress = Example();
  progress.r1.reset();
  progress.images_per_second = 0;
  EXPECT_EQ(FormatTrainingLine(progress, 32),
            "step 1234/12060 (10%)  39488 images  0.0 images/s  D 1.311  "
            "G 0.835  data 2%  11 min so far");
}

TEST(TrainingLineTest, ADenoiserHasNoDiscriminator) {
  TrainingProgress progress = Example();
  progress.discriminator_loss.reset();
  progress.r1.reset();
  progress.generator_gradient_norm = 12.349;
  EXPECT_EQ(FormatTrainingLine(progress, 32),
            "step 1234/12060 (10%)  39488 images  61.2 images/s  G 0.835  "
            "|grad G| 12.3  data 2%  11 min so far  1 h 34 min left");
  EXPECT_EQ(FormatTrainingBar(progress, 32, 100),
            "[==>                      ] 1234/12060  61.2 images/s  G 0.83  "
            "|grad| G 12  data 2%  1 h 34 min left");
}

TEST(TrainingLineTest, HoldsNumbersThatMakeNoSense) {
  TrainingProgress progress;
  progress.total_steps = 0;
  EXPECT_THAT(FormatTrainingLine(progress, 1), StartsWith("step 0/0 (0%)"));
  progress = Example();
  progress.elapsed = absl::InfiniteDuration();
  for (const double rate :
       {1e-300, -1.0, std::numeric_limits<double>::infinity(),
        std::numeric_limits<double>::quiet_NaN()}) {
    progress.images_per_second = rate;
    progress.discriminator_loss = rate;
    FormatTrainingLine(progress, 32);
    EXPECT_LE(FormatTrainingBar(progress, 32, 80).size(), 80u);
  }
}

TEST(TrainingBarTest, FillsAnOrdinaryTerminal) {
  EXPECT_EQ(FormatTrainingBar(Example(), 32, 80),
            "[=>          ] 1234/12060  61.2 images/s  D 1.31 G 0.83 R1 0.01  "
            "1 h 34 min left");
  EXPECT_EQ(
      FormatTrainingBar(Example(), 32, 100),
      "[==>                    ] 1234/12060  61.2 images/s  D 1.31 G 0.83 "
      "R1 0.01  data 2%  1 h 34 min left");
}

TEST(TrainingBarTest, IsNeverWiderThanTheTerminal) {
  TrainingProgress progress = Example();
  progress.discriminator_gradient_norm = 0.3117;
  progress.generator_gradient_norm = 12.349;
  std::string narrower;
  for (int columns = 20; columns <= 200; ++columns) {
    const std::string bar = FormatTrainingBar(progress, 32, columns);
    EXPECT_LE(bar.size(), static_cast<size_t>(columns));
    EXPECT_THAT(bar, HasSubstr("1234/12060"));
    EXPECT_THAT(bar, Not(HasSubstr("\n")));
    // From where a bar has room, it uses all of it until it is long enough.
    if (columns >= 23 && columns <= 100) {
      EXPECT_EQ(bar.size(), static_cast<size_t>(columns)) << bar;
    }
    EXPECT_GE(bar.size(), narrower.size());
    narrower = bar;
  }
  EXPECT_THAT(narrower, HasSubstr("|grad| D 0.31 G 12"));
}

TEST(TrainingBarTest, ShowsWhatMattersMostAsLongAsThereIsRoom) {
  EXPECT_EQ(FormatTrainingBar(Example(), 32, 40),
            "[=>        ] 1234/12060  1 h 34 min left");
  EXPECT_EQ(FormatTrainingBar(Example(), 32, 64),
            "[=>         ] 1234/12060  D 1.31 G 0.83 R1 0.01  1 h 34 min left");
}

TEST(TrainingBarTest, IsEmptyAtTheStartAndFullAtTheEnd) {
  TrainingProgress progress = Example();
  progress.images_per_second = 0;
  progress.step = 0;
  EXPECT_THAT(FormatTrainingBar(progress, 32, 27),
              StartsWith("[>                ] 0/12060"));
  progress.step = progress.total_steps;
  EXPECT_THAT(FormatTrainingBar(progress, 32, 27),
              StartsWith("[=============] 12060/12060"));
  progress.step *= 2;
  EXPECT_THAT(FormatTrainingBar(progress, 32, 27), StartsWith("[===="));
}

TEST(TrainingBarTest, ClipsEvenTheCount) {
  EXPECT_EQ(FormatTrainingBar(Example(), 32, 12), "1234/12060");
  EXPECT_EQ(FormatTrainingBar(Example(), 32, 3), "123");
  EXPECT_EQ(FormatTrainingBar(Example(), 32, 0), "");
  EXPECT_EQ(FormatTrainingBar(Example(), 32, -1), "");
}

}  // namespace
}  // namespace ddgan

#include "engine/scheduling/outcome_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ddgan {
namespace {

using ::testing::HasSubstr;

// Rows at steps 0, 2 and 0.
class OutcomeCheckTest : public ::testing::Test {
 protected:
  OutcomeCheckTest() { trajectories_[1].step = 2; }

  absl::Status Check() { return CheckOutcome(rows_, outcome_); }

  std::vector<Trajectory> trajectories_ = std::vector<Trajectory>(3);
  const std::vector<Trajectory*> rows_ = {&trajectories_[0], &trajectories_[1],
                                          &trajectories_[2]};
  StepOutcome outcome_;
};

TEST_F(OutcomeCheckTest, ImagesMayComeInAnyOrder) {
  outcome_.finished.push_back({2, {}});
  outcome_.finished.push_back({0, {}});
  outcome_.previews.push_back({1, {}});
  EXPECT_EQ(Check(), absl::OkStatus());
  EXPECT_EQ(outcome_.finished[0].row, 0u);
  EXPECT_EQ(outcome_.finished[1].row, 2u);
}

TEST_F(OutcomeCheckTest, ALostImageIsAnError) {
  outcome_.finished.push_back({2, {}});
  EXPECT_THAT(std::string(Check().message()),
              HasSubstr("returned 1 images where 2 rows"));
  outcome_.finished.push_back({2, {}});
  EXPECT_FALSE(Check().ok());
  outcome_.finished[1].row = 1;
  EXPECT_FALSE(Check().ok());
}

TEST_F(OutcomeCheckTest, ARowThatIsNotFiniteHasNoImage) {
  outcome_.not_finite = {0, 1};
  outcome_.finished.push_back({2, {}});
  EXPECT_EQ(Check(), absl::OkStatus());
  outcome_.finished.push_back({0, {}});
  EXPECT_FALSE(Check().ok());
}

TEST_F(OutcomeCheckTest, RowsThatAreNotFiniteAreOfTheBatch) {
  outcome_.finished.push_back({0, {}});
  outcome_.not_finite = {2, 2};
  EXPECT_FALSE(Check().ok());
  outcome_.not_finite = {2, 3};
  EXPECT_FALSE(Check().ok());
  outcome_.not_finite = {2, 1};
  EXPECT_FALSE(Check().ok());
}

TEST_F(OutcomeCheckTest, AtItsLastStepARowHasNoPreview) {
  outcome_.finished.push_back({0, {}});
  outcome_.finished.push_back({2, {}});
  outcome_.previews.push_back({2, {}});
  EXPECT_THAT(std::string(Check().message()), HasSubstr("a preview of row 2"));
}

}  // namespace
}  // namespace ddgan

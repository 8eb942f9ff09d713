#include "engine/versions/version_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/scripted_batch_runner.h"
#include "tests/fakes/scripted_version_source.h"

namespace ddgan {
namespace {

using ::testing::SizeIs;

TEST(WarmUpTest, SizesAreEveryBucketOrTheEnds) {
  EXPECT_THAT(WarmUpSizes(8, true), ::testing::ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(WarmUpSizes(5, true), ::testing::ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(WarmUpSizes(5, false), ::testing::ElementsAre(1, 5));
  EXPECT_THAT(WarmUpSizes(1, true), ::testing::ElementsAre(1));
}

TEST(WarmUpTest, RunsTwoStepsOfEachSizeAndMeasuresThem) {
  RunnerScript script;
  ScriptedBatchRunner runner(&script);
  const ServableVersion version = MakeServableVersion("digits", 1, 3);
  EXPECT_EQ(WarmUp(version, {1, 5}).RunAll(runner), absl::OkStatus());
  EXPECT_EQ(version.costs->StepTime(5), absl::Milliseconds(5));
  const auto batches = script.batches();
  ASSERT_THAT(batches, SizeIs(4));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(batches[i].rows, SizeIs(1));
    EXPECT_THAT(batches[2 + i].rows, SizeIs(5));
    EXPECT_EQ(batches[2 + i].rows[4].step, 2 - i);
  }
  EXPECT_EQ(script.kept_trajectories(), 0);
}

// Kernels are chosen in one of the steps, and the machine may stall in any.
TEST(WarmUpTest, ASizeCostsWhatTheFasterOfItsStepsTakes) {
  class TimedRunner : public ScriptedBatchRunner {
   public:
    TimedRunner(RunnerScript* script, std::vector<int> milliseconds)
        : ScriptedBatchRunner(script), milliseconds_(std::move(milliseconds)) {}
    absl::StatusOr<StepOutcome*> RunStep(
        const std::shared_ptr<const Model>& model,
        absl::Span<const StepRow> rows) override {
      absl::StatusOr<StepOutcome*> outcome =
          ScriptedBatchRunner::RunStep(model, rows);
      (*outcome)->device_time = absl::Milliseconds(milliseconds_.at(steps_++));
      return outcome;
    }

   private:
    const std::vector<int> milliseconds_;
    size_t steps_ = 0;
  };
  RunnerScript script;
  TimedRunner runner(&script, {900, 4, 8, 700});
  const ServableVersion version = MakeServableVersion("digits", 1, 3);
  ASSERT_EQ(WarmUp(version, {1, 2}).RunAll(runner), absl::OkStatus());
  EXPECT_EQ(version.costs->StepTime(1), absl::Milliseconds(4));
  EXPECT_EQ(version.costs->StepTime(2), absl::Milliseconds(8));
}

TEST(WarmUpTest, AModelOfOneStepHasNoSecond) {
  RunnerScript script;
  ScriptedBatchRunner runner(&script);
  const ServableVersion version = MakeServableVersion("digits", 1, 1);
  EXPECT_EQ(WarmUp(version, {1, 5}).RunAll(runner), absl::OkStatus());
  EXPECT_THAT(script.batches(), SizeIs(2));
  EXPECT_EQ(script.kept_trajectories(), 0);
}

TEST(WarmUpTest, AFailureSaysWhereAndLeavesNothingBehind) {
  RunnerScript script;
  ScriptedBatchRunner runner(&script);
  const ServableVersion version = MakeServableVersion("digits", 1, 3);
  ASSERT_EQ(WarmUp(version, {1}).RunAll(runner), absl::OkStatus());
  script.FailAlways(version.model.get(), absl::InternalError("NaN"));
  EXPECT_EQ(WarmUp(version, {1}).RunAll(runner),
            absl::InternalError("warm-up with a batch of 1 failed at step 2: "
                                "NaN"));
  EXPECT_EQ(script.kept_trajectories(), 0);
}

TEST(CanaryRunTest, MakesTheCanarysImagesInOrderWhateverTheBatch) {
  std::vector<float> expected;
  for (uint32_t index = 0; index < kCanaryImages; ++index) {
    const std::vector<uint8_t> bytes = ScriptedFloats(kCanarySeed, index, 0);
    expected.resize(expected.size() + 64);
    std::memcpy(&expected[64 * index], bytes.data(), bytes.size());
  }
  for (const int batch : {1, 3, 8}) {
    SCOPED_TRACE(batch);
    RunnerScript script;
    ScriptedBatchRunner runner(&script);
    const ServableVersion version = MakeServableVersion("digits", 1, 2);
    CanaryRun run(version, batch);
    int slices = 1;
    for (absl::StatusOr<LanePool::Slice> slice = run.RunNext(runner);;
         slice = run.RunNext(runner), ++slices) {
      ASSERT_TRUE(slice.ok()) << slice.status();
      EXPECT_EQ(slice->device_time, absl::Milliseconds(5));
      if (!slice->more) break;
    }
    EXPECT_EQ(run.pixels(), expected);
    const int size = std::min(batch, CanaryRun::kLargestBatch);
    EXPECT_EQ(slices, 2 * ((kCanaryImages + size - 1) / size));
    for (const RunnerScript::Batch& ran : script.batches()) {
      EXPECT_LE(ran.rows.size(), static_cast<size_t>(size));
    }
    EXPECT_EQ(script.kept_trajectories(), 0);
  }
}

TEST(CanaryRunTest, AFailedStepLeavesNothingBehind) {
  RunnerScript script;
  ScriptedBatchRunner runner(&script);
  const ServableVersion version = MakeServableVersion("digits", 1, 2);
  CanaryRun run(version, 8);
  ASSERT_TRUE(run.RunNext(runner).ok());
  script.FailNext(absl::InternalError("NaN"));
  EXPECT_EQ(
      run.RunNext(runner).status(),
      absl::InternalError("canary with a batch of 2 failed at step 0: NaN"));
  EXPECT_EQ(script.kept_trajectories(), 0);
}

// The last row of a batch is not finite from the second step on.
class NotFiniteRunner : public BatchRunner {
 public:
  explicit NotFiniteRunner(BatchRunner* next) : next_(next) {}

  absl::StatusOr<StepOutcome*> RunStep(
      const std::shared_ptr<const Model>& model,
      absl::Span<const StepRow> rows) override {
    absl::StatusOr<StepOutcome*> outcome = next_->RunStep(model, rows);
    if (++steps_ > 1) (*outcome)->not_finite.push_back(rows.size() - 1);
    return outcome;
  }
  void Forget(absl::Span<const TrajectoryId> ids) override {
    next_->Forget(ids);
  }

 private:
  BatchRunner* const next_;
  int steps_ = 0;
};

TEST(WarmUpTest, OutputThatIsNotFiniteIsAFailure) {
  RunnerScript script;
  ScriptedBatchRunner scripted(&script);
  NotFiniteRunner runner(&scripted);
  const ServableVersion version = MakeServableVersion("digits", 1, 3);
  EXPECT_EQ(WarmUp(version, {5}).RunAll(runner),
            absl::InternalError("warm-up with a batch of 5 failed at step 1: "
                                "the output of seed 0, index 4 is not finite"));
  EXPECT_EQ(script.kept_trajectories(), 0);
}

TEST(CanaryRunTest, OutputThatIsNotFiniteIsAFailure) {
  RunnerScript script;
  ScriptedBatchRunner scripted(&script);
  NotFiniteRunner runner(&scripted);
  const ServableVersion version = MakeServableVersion("digits", 1, 2);
  CanaryRun run(version, 8);
  ASSERT_TRUE(run.RunNext(runner).ok());
  const absl::Status status = run.RunNext(runner).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(
                  ::testing::HasSubstr("canary with a batch of 2 failed at "
                                       "step 0"),
                  ::testing::HasSubstr("index 1 is not finite")));
  EXPECT_EQ(script.kept_trajectories(), 0);
}

}  // namespace
}  // namespace ddgan

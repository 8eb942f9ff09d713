// The account that a lane keeps of its images in flight, over a device that is
// scripted.
#include "engine/lanes/lane_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kTimesteps = 3;
constexpr ImageShape kShape = {1, 2, 2};

// What a test says and sees of the device.
struct DeviceScript {
  absl::Status load;
  absl::Status step;             // What the next steps return.
  std::set<uint64_t> broken;     // Seeds whose output is not finite.
  int slots_left = 1000;         // Until TakeSlot throws.
  std::set<ImageSlot> taken;     // Of all models.
  std::vector<BackendRow> rows;  // Of the last step.
  int models = 0;                // On the device.
};

class ScriptedModel : public DeviceModel {
 public:
  explicit ScriptedModel(DeviceScript* script)
      : DeviceModel(kShape, kTimesteps), script_(script) {
    ++script_->models;
  }
  ~ScriptedModel() override { --script_->models; }

  ImageSlot TakeSlot() override {
    if (script_->slots_left == 0) throw std::bad_alloc();
    --script_->slots_left;
    ImageSlot slot = 0;
    while (!script_->taken.insert(slot).second) ++slot;
    return slot;
  }
  void GiveSlot(ImageSlot slot) noexcept override {
    if (slot == kNoSlot) return;
    EXPECT_EQ(script_->taken.erase(slot), 1u) << slot;
    ++script_->slots_left;
  }
  absl::StatusOr<absl::Duration> Step(const Model&,
                                      absl::Span<BackendRow> rows) override {
    script_->rows.assign(rows.begin(), rows.end());
    if (!script_->step.ok()) return script_->step;
    for (BackendRow& row : rows) {
      row.not_finite = script_->broken.count(row.seed) > 0;
      if (row.image != nullptr) row.image[0] = static_cast<uint8_t>(row.seed);
      if (row.preview != nullptr) {
        row.preview[0] = static_cast<uint8_t>(row.seed + 100);
      }
    }
    return absl::Milliseconds(7);
  }
  int64_t bytes() const override { return 1000; }

 private:
  DeviceScript* const script_;
};

class ScriptedBackend : public StepBackend {
 public:
  explicit ScriptedBackend(DeviceScript* script) : script_(script) {}

  absl::StatusOr<std::unique_ptr<DeviceModel>> Load(const Model&) override {
    if (!script_->load.ok()) return script_->load;
    return std::make_unique<ScriptedModel>(script_);
  }
  PixelPool& pixel_pool() override { return pool_; }
  int64_t spare_bytes() const override { return 1; }

 private:
  DeviceScript* const script_;
  PixelPool pool_;
};

class LaneRunnerTest : public testing::Test {
 protected:
  LaneRunnerTest()
      : runner_(
            NewLaneRunner({4, 6}, std::make_unique<ScriptedBackend>(&script_))),
        model_(NewModel()) {}

  // Nobody looks into it.
  static std::shared_ptr<const Model> NewModel() {
    const auto owner = std::make_shared<int>(0);
    return {owner, reinterpret_cast<const Model*>(owner.get())};
  }

  // The seed is the id.
  static StepRow Row(TrajectoryId id, int step) {
    StepRow row;
    row.id = id;
    row.seed = id;
    row.step = step;
    return row;
  }

  StepOutcome* Run(std::vector<StepRow> rows) {
    const absl::StatusOr<StepOutcome*> outcome = runner_->RunStep(model_, rows);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(nullptr);
  }
  absl::StatusCode Failure(std::vector<StepRow> rows) {
    return runner_->RunStep(model_, rows).status().code();
  }

  DeviceScript script_;
  const std::unique_ptr<BatchRunner> runner_;
  std::shared_ptr<const Model> model_;
};

TEST_F(LaneRunnerTest, AStepReadsWhatTheStepBeforeWrote) {
  EXPECT_EQ(Run({Row(1, 2), Row(2, 2)})->device_time, absl::Milliseconds(7));
  EXPECT_EQ(script_.rows[0].from, kNoSlot);
  const ImageSlot first = script_.rows[0].to, second = script_.rows[1].to;
  EXPECT_NE(first, second);
  Run({Row(2, 1), Row(1, 1)});
  EXPECT_EQ(script_.rows[0].from, second);
  EXPECT_EQ(script_.rows[1].from, first);
  EXPECT_THAT(script_.taken, SizeIs(2));
  const StepOutcome* outcome = Run({Row(1, 0), Row(2, 0)});
  ASSERT_THAT(outcome->finished, SizeIs(2));
  EXPECT_EQ(outcome->finished[1].row, 1u);
  EXPECT_THAT(outcome->finished[1].pixels, SizeIs(4));
  EXPECT_EQ(outcome->finished[1].pixels.data()[0], 2);
  EXPECT_EQ(outcome->device_memory_bytes, 1001);
  EXPECT_EQ(script_.rows[0].to, kNoSlot);
  EXPECT_THAT(script_.taken, IsEmpty());
}

TEST_F(LaneRunnerTest, ARowThatIsNotFiniteEndsAndTheOthersMoveOn) {
  script_.broken = {2, 4};
  Run({Row(1, 2), Row(3, 2)});
  Run({Row(1, 1), Row(3, 1)});
  std::vector<StepRow> rows = {Row(1, 0), Row(2, 2), Row(3, 0), Row(4, 0)};
  const float guide[4] = {};
  rows[1].preview = true;
  rows[3].guide = guide;
  const StepOutcome* outcome = Run(rows);
  EXPECT_THAT(outcome->not_finite, ElementsAre(1, 3));
  EXPECT_THAT(outcome->previews, IsEmpty());
  ASSERT_THAT(outcome->finished, SizeIs(2));
  EXPECT_EQ(outcome->finished[0].row, 0u);
  EXPECT_EQ(outcome->finished[1].row, 2u);
  EXPECT_EQ(outcome->finished[1].pixels.data()[0], 3);
  EXPECT_THAT(script_.taken, IsEmpty());
  EXPECT_EQ(Failure({Row(2, 1)}), absl::StatusCode::kInternal);
  EXPECT_THAT(Run({Row(1, 2)})->not_finite, IsEmpty());
}

TEST_F(LaneRunnerTest, ARowThatWasUnderWayAndIsNotFiniteIsForgotten) {
  Run({Row(1, 2), Row(2, 2)});
  script_.broken = {1};
  EXPECT_THAT(Run({Row(1, 1), Row(2, 1)})->not_finite, ElementsAre(0));
  EXPECT_THAT(script_.taken, SizeIs(1));
  EXPECT_EQ(Failure({Row(1, 0)}), absl::StatusCode::kInternal);
  EXPECT_THAT(Run({Row(2, 0)})->finished, SizeIs(1));
}

TEST_F(LaneRunnerTest, AFailedStepMovesNoRow) {
  Run({Row(1, 2)});
  const ImageSlot before = script_.rows[0].to;
  script_.step = absl::InternalError("lost");
  EXPECT_EQ(Failure({Row(1, 1), Row(2, 2)}), absl::StatusCode::kInternal);
  EXPECT_THAT(script_.taken, ElementsAre(before));
  script_.step = absl::OkStatus();
  EXPECT_EQ(Failure({Row(2, 1)}), absl::StatusCode::kInternal);
  Run({Row(1, 1), Row(2, 2)});
  EXPECT_EQ(script_.rows[0].from, before);
}

TEST_F(LaneRunnerTest, AStepThatLacksMemoryMovesNoRow) {
  Run({Row(1, 2)});
  const ImageSlot before = script_.rows[0].to;
  script_.slots_left = 2;
  EXPECT_EQ(Failure({Row(1, 1), Row(2, 2), Row(3, 2)}),
            absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(script_.taken, ElementsAre(before));
  Run({Row(1, 1), Row(2, 2)});
  EXPECT_EQ(script_.rows[0].from, before);
}

TEST_F(LaneRunnerTest, ATrajectoryMayStartAgain) {
  Run({Row(1, 2)});
  Run({Row(1, 1)});
  Run({Row(1, 2)});
  EXPECT_EQ(script_.rows[0].from, kNoSlot);
  EXPECT_THAT(script_.taken, SizeIs(1));
}

TEST_F(LaneRunnerTest, RefusesRowsThatCannotRun) {
  EXPECT_EQ(Failure({}), absl::StatusCode::kInternal);
  EXPECT_EQ(Failure({Row(1, 2), Row(2, 2), Row(3, 2), Row(4, 2), Row(5, 2)}),
            absl::StatusCode::kInternal);
  EXPECT_EQ(Failure({Row(1, 3)}), absl::StatusCode::kInternal);
  EXPECT_EQ(Failure({Row(1, -1)}), absl::StatusCode::kInternal);
  Run({Row(1, 2), Row(2, 2), Row(3, 2), Row(4, 2)});
  EXPECT_EQ(Failure({Row(5, 2), Row(6, 2), Row(7, 2)}),
            absl::StatusCode::kResourceExhausted);
  runner_->Forget({{TrajectoryId{1}, TrajectoryId{77}}});
  Run({Row(5, 2), Row(6, 2), Row(7, 2)});
  EXPECT_THAT(script_.taken, SizeIs(6));
}

TEST_F(LaneRunnerTest, AModelThatDoesNotLoadIsAnErrorAndIsTriedAgain) {
  script_.load = absl::InternalError("other lanes'");
  EXPECT_EQ(Failure({Row(1, 2)}), absl::StatusCode::kInternal);
  script_.load = absl::OkStatus();
  Run({Row(1, 2)});
  EXPECT_EQ(script_.models, 1);
}

TEST_F(LaneRunnerTest, AModelThatNobodyHoldsLeavesTheDevice) {
  Run({Row(1, 2)});
  const std::shared_ptr<const Model> next = NewModel();
  model_ = next;
  EXPECT_EQ(Run({Row(2, 2)})->device_memory_bytes, 1001);
  EXPECT_EQ(script_.models, 1);
}

}  // namespace
}  // namespace ddgan

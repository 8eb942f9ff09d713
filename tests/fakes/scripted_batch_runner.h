// A BatchRunner without a generator: a script says when a step fails or blocks,
// and keeps what was run.
#ifndef DDGAN_TESTS_FAKES_SCRIPTED_BATCH_RUNNER_H_
#define DDGAN_TESTS_FAKES_SCRIPTED_BATCH_RUNNER_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/lanes/batch_runner.h"

namespace ddgan {

// The pixels that a ScriptedBatchRunner gives for a row: a function of seed and
// index alone, as the real one's are.
inline std::vector<uint8_t> ScriptedPixels(uint64_t seed,
                                           uint32_t image_index) {
  std::vector<uint8_t> pixels;
  for (int shift = 0; shift < 64; shift += 8) {
    pixels.push_back(static_cast<uint8_t>(seed >> shift));
  }
  for (int shift = 0; shift < 32; shift += 8) {
    pixels.push_back(static_cast<uint8_t>(image_index >> shift));
  }
  return pixels;
}

// The same of a row that asks for floats: an 8x8 gray image around `mean`.
inline std::vector<uint8_t> ScriptedFloats(uint64_t seed, uint32_t image_index,
                                           float mean) {
  std::vector<float> values(64);
  std::mt19937_64 random(seed + image_index);
  for (float& value : values) {
    value = mean + static_cast<float>(random() % 1000) / 2000 - 0.25f;
  }
  std::vector<uint8_t> pixels(values.size() * sizeof(float));
  std::memcpy(pixels.data(), values.data(), pixels.size());
  return pixels;
}

// What a test says and sees; outlives its runners. Thread-safe.
class RunnerScript {
 public:
  struct Batch {
    std::shared_ptr<const Model> model;
    std::vector<StepRow> rows;
  };

  // The next step fails with `status`; several are used in turn.
  void FailNext(absl::Status status) {
    absl::MutexLock lock(&mu_);
    failures_.push_back(std::move(status));
  }
  // Steps of `model` fail.
  void FailAlways(const Model* model, absl::Status status) {
    absl::MutexLock lock(&mu_);
    broken_models_[model] = std::move(status);
  }
  // Float images of `model` have this mean instead of 0.
  void SetMean(const Model* model, float mean) {
    absl::MutexLock lock(&mu_);
    means_[model] = mean;
  }
  // Rows of this seed are not finite at this step, whatever the model.
  void BreakSeed(uint64_t seed, int step) {
    absl::MutexLock lock(&mu_);
    broken_seeds_.emplace(seed, step);
  }
  // Steps block from now on until Release.
  void Hold() {
    absl::MutexLock lock(&mu_);
    held_ = true;
  }
  // The next step blocks until Release, whatever others do meanwhile.
  void HoldNext() {
    absl::MutexLock lock(&mu_);
    hold_next_ = true;
  }
  void Release() {
    absl::MutexLock lock(&mu_);
    held_ = false;
    hold_next_ = false;
    one_held_ = false;
  }
  // Blocks until a step is held.
  void AwaitHeldStep() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(
        +[](int* blocked) { return *blocked > 0; }, &blocked_));
  }

  // Steps that were run or failed, in order.
  std::vector<Batch> batches() const {
    absl::MutexLock lock(&mu_);
    return batches_;
  }
  // Trajectories that a device would still hold memory for.
  int kept_trajectories() const {
    absl::MutexLock lock(&mu_);
    int kept = 0;
    for (const auto& [runner, steps] : next_step_) kept += steps.size();
    return kept;
  }

 private:
  friend class ScriptedBatchRunner;

  absl::Status RunStep(const BatchRunner* runner,
                       const std::shared_ptr<const Model>& model,
                       absl::Span<const StepRow> rows, StepOutcome& outcome) {
    absl::MutexLock lock(&mu_);
    ++blocked_;
    mu_.Await(absl::Condition(
        +[](bool* held) { return !*held; }, &held_));
    if (hold_next_) {
      hold_next_ = false;
      one_held_ = true;
      mu_.Await(absl::Condition(
          +[](bool* held) { return !*held; }, &one_held_));
    }
    --blocked_;
    batches_.push_back({model, {rows.begin(), rows.end()}});
    if (!failures_.empty()) {
      absl::Status failure = std::move(failures_.front());
      failures_.pop_front();
      return failure;
    }
    if (const auto broken = broken_models_.find(model.get());
        broken != broken_models_.end()) {
      return broken->second;
    }
    outcome.Clear();
    outcome.device_time = absl::Milliseconds(5);
    outcome.device_memory_bytes = 1000;
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      // Steps follow one another on the same runner.
      const auto [next, is_new] =
          next_step_[runner].try_emplace(row.id, row.step);
      EXPECT_EQ(next->second, row.step) << "trajectory " << row.id;
      if (broken_seeds_.count({row.seed, row.step}) > 0) {
        next_step_[runner].erase(next);
        outcome.not_finite.push_back(i);
      } else if (row.step == 0) {
        next_step_[runner].erase(next);
        outcome.finished.push_back(
            {i, PixelBuffer(row.pixel_format == PixelFormat::kFloat32
                                ? ScriptedFloats(row.seed, row.image_index,
                                                 means_[model.get()])
                                : ScriptedPixels(row.seed, row.image_index))});
      } else {
        next->second = row.step - 1;
      }
    }
    return absl::OkStatus();
  }

  void Forget(const BatchRunner* runner, absl::Span<const TrajectoryId> ids) {
    absl::MutexLock lock(&mu_);
    for (TrajectoryId id : ids) next_step_[runner].erase(id);
  }

  void Remove(const BatchRunner* runner) {
    absl::MutexLock lock(&mu_);
    next_step_.erase(runner);
  }

  mutable absl::Mutex mu_;
  std::deque<absl::Status> failures_ ABSL_GUARDED_BY(mu_);
  std::map<const Model*, absl::Status> broken_models_ ABSL_GUARDED_BY(mu_);
  std::map<const Model*, float> means_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<uint64_t, int>> broken_seeds_ ABSL_GUARDED_BY(mu_);
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  bool hold_next_ ABSL_GUARDED_BY(mu_) = false;
  bool one_held_ ABSL_GUARDED_BY(mu_) = false;
  int blocked_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Batch> batches_ ABSL_GUARDED_BY(mu_);
  std::map<const BatchRunner*, std::map<TrajectoryId, int>> next_step_
      ABSL_GUARDED_BY(mu_);
};

class ScriptedBatchRunner : public BatchRunner {
 public:
  explicit ScriptedBatchRunner(RunnerScript* script) : script_(script) {}
  ~ScriptedBatchRunner() override { script_->Remove(this); }

  absl::StatusOr<StepOutcome*> RunStep(
      const std::shared_ptr<const Model>& model,
      absl::Span<const StepRow> rows) override {
    absl::Status status = script_->RunStep(this, model, rows, outcome_);
    if (!status.ok()) return status;
    return &outcome_;
  }
  void Forget(absl::Span<const TrajectoryId> ids) override {
    script_->Forget(this, ids);
  }

 private:
  RunnerScript* const script_;
  StepOutcome outcome_;
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_SCRIPTED_BATCH_RUNNER_H_

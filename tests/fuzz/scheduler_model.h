// What the model of the scheduler in fuzz_scheduler.cc is made of.
#ifndef DDGAN_TESTS_FUZZ_SCHEDULER_MODEL_H_
#define DDGAN_TESTS_FUZZ_SCHEDULER_MODEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/scheduling/batch_scheduler.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {

class SchedulerObserver : public EngineObserver {
 public:
  void OnWastedSteps(WasteReason, int steps) override { wasted += steps; }
  void OnQueueState(int queued_images, int inflight_images,
                    const OldestQueued&) override {
    images = queued_images + inflight_images;
  }

  int wasted = 0;
  int images = 0;  // As reported last.
};

// A request that was accepted, and what has come of it.
class Accepted : public GenerationSink {
 public:
  Accepted(GenerationRequest asked,
           std::shared_ptr<const ServableVersion> version)
      : asked(std::move(asked)), version(std::move(version)) {}

  void OnImage(GeneratedImage image) override {
    Require(!status.has_value(), "no image comes after the end");
    const uint32_t position = image.index - asked.first_index;
    Require(position < asked.count && delivered.insert(position).second,
            "an image that was asked for, once");
    Require(image.pixel_format == asked.pixel_format &&
                image.shape == version->shape && image.pixels.size() == 1 &&
                *image.pixels.data() == static_cast<uint8_t>(image.index),
            "the image that the runner made");
    if (cancel_at_image != nullptr) {
      cancelled = true;
      cancel_at_image->Cancel(id);
    }
  }
  void OnPreview(GeneratedImage x0, int steps_left) override {
    Require(!status.has_value() && asked.previews && steps_left > 0 &&
                x0.index - asked.first_index < asked.count,
            "a preview that was asked for, before the end");
  }
  void OnFinished(const absl::Status& end,
                  const GenerationTimings& timings) override {
    Require(!status.has_value(), "a request ends once");
    status = end;
    Require(timings.queue >= absl::ZeroDuration() &&
                timings.steps >= absl::ZeroDuration(),
            "time goes on");
    Require(end.ok() == (delivered.size() == asked.count),
            "OK is what has all its images");
  }

  int steps() const {
    return asked.guide ? asked.guide->steps : version->evaluations;
  }

  const GenerationRequest asked;
  const std::shared_ptr<const ServableVersion> version;
  RequestId id = 0;
  int64_t bytes = 0;
  std::shared_ptr<const std::vector<float>> guide;
  bool cancelled = false;
  BatchScheduler* cancel_at_image = nullptr;
  std::set<uint32_t> delivered;  // By position.
  std::optional<absl::Status> status;
};

struct ModelLane {
  bool up = true;
  bool abandoned = false;  // It is out, and its thread is still in a step.
  LaneBatch batch;         // Runs if it has rows.
  std::map<TrajectoryId, int> next_step;  // What its device keeps.
};

// Of the request, on lanes that have not been given up.
inline int RowsRunning(const std::vector<ModelLane>& lanes,
                       const Accepted& request) {
  int rows = 0;
  for (const ModelLane& lane : lanes) {
    if (lane.abandoned) continue;
    for (const StepRow& row : lane.batch.rows) {
      rows += row.seed == request.asked.seed;
    }
  }
  return rows;
}

// Whether `row` may be in the batch that lane `i` has just taken.
inline void RequireRow(const std::vector<ModelLane>& lanes, size_t i,
                       const StepRow& row, const Accepted& request) {
  const ModelLane& lane = lanes[i];
  Require(!request.status.has_value(), "no row is of a request that ended");
  Require(lane.batch.version == request.version,
          "a row is of the batch's version");
  const uint32_t position = row.image_index - request.asked.first_index;
  Require(
      position < request.asked.count && request.delivered.count(position) == 0,
      "a row is of an image that is not made yet");
  const bool first = row.step == request.steps() - 1;
  const auto kept = lane.next_step.find(row.id);
  Require(kept != lane.next_step.end() ? kept->second == row.step : first,
          "steps follow one another");
  for (size_t other = 0; other < lanes.size(); ++other) {
    if (other == i || lanes[other].abandoned) continue;
    Require(lanes[other].next_step.count(row.id) == 0,
            "a trajectory stays on its lane");
    for (const StepRow& running : lanes[other].batch.rows) {
      Require(running.id != row.id, "no row is in two lanes");
    }
  }
  Require(
      row.guide == (first && request.guide ? request.guide->data() : nullptr),
      "the first step has the guide");
  Require(row.preview == (request.asked.previews && row.step > 0),
          "previews of who wants them");
  Require(row.pixel_format == request.asked.pixel_format, "a format");
}

// Moves the rows of `lane` on, as a device does; `not_finite`: some of them
// break.
inline void MoveRows(bool not_finite, InputReader* input, ModelLane* lane,
                     StepOutcome* outcome) {
  outcome->Clear();
  outcome->device_time = absl::Milliseconds(input->Between(0, 8));
  for (size_t i = 0; i < lane->batch.rows.size(); ++i) {
    const StepRow& row = lane->batch.rows[i];
    PixelBuffer pixels(
        std::vector<uint8_t>{static_cast<uint8_t>(row.image_index)});
    if (not_finite && input->OneIn(2)) {
      outcome->not_finite.push_back(i);
      lane->next_step.erase(row.id);
    } else if (row.step == 0) {
      outcome->finished.push_back({i, std::move(pixels)});
      lane->next_step.erase(row.id);
    } else {
      if (row.preview) outcome->previews.push_back({i, std::move(pixels)});
      lane->next_step[row.id] = row.step - 1;
    }
  }
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_FUZZ_SCHEDULER_MODEL_H_

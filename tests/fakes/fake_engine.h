// An engine without models or devices: pictures are a function of seed and
// index, and a test decides when and how a request ends.
#ifndef DDGAN_TESTS_FAKES_FAKE_ENGINE_H_
#define DDGAN_TESTS_FAKES_FAKE_ENGINE_H_

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/engine.h"
#include "engine/generation.h"

namespace ddgan {

// What FakeEngine draws: bytes that differ by seed, index and place.
inline std::vector<uint8_t> FakePixels(uint64_t seed, uint32_t index,
                                       const ImageShape& shape,
                                       PixelFormat format) {
  const size_t size = size_t{1} * shape.channels * shape.height * shape.width;
  if (format == PixelFormat::kUint8) {
    std::vector<uint8_t> pixels(size);
    for (size_t i = 0; i < size; ++i) pixels[i] = seed * 31 + index * 7 + i;
    return pixels;
  }
  std::vector<uint8_t> pixels(size * sizeof(float));
  for (size_t i = 0; i < size; ++i) {
    const float value = static_cast<float>((seed + index * 7 + i) % 255) / 255;
    std::memcpy(&pixels[i * sizeof(float)], &value, sizeof(float));
  }
  return pixels;
}

// The preview of that image after step `t`.
inline std::vector<uint8_t> FakePreviewPixels(uint64_t seed, uint32_t index,
                                              int t, const ImageShape& shape,
                                              PixelFormat format) {
  return FakePixels(seed + 100 * t, index, shape, format);
}

// Thread-safe. Unless told otherwise it answers every request within Submit,
// last image first: the earliest and most awkward moment that Engine allows.
class FakeEngine : public Engine {
 public:
  static constexpr absl::Duration kQueueTime = absl::Milliseconds(3);
  static constexpr absl::Duration kStepsTime = absl::Milliseconds(40);
  static constexpr int kNumTimesteps = 4;
  static constexpr int kImagesAhead = 5;
  static constexpr absl::Duration kExpectedStart = absl::Milliseconds(1250);

  // Has model "digits", version 3 live and 2 refused.
  explicit FakeEngine(ImageShape shape = {1, 8, 8}) : shape_(shape) {}

  // Accepts requests from now on and lets the test end them.
  void HoldRequests() {
    absl::MutexLock lock(&mu_);
    hold_ = true;
  }

  // From now on Submit returns only after ResumeGuided for a request that has a
  // guide.
  void StallGuided() {
    absl::MutexLock lock(&mu_);
    stall_guided_ = true;
  }

  void ResumeGuided() {
    absl::MutexLock lock(&mu_);
    stall_guided_ = false;
  }

  // Blocks until a request stalls so.
  void WaitForStalled() {
    absl::MutexLock lock(&mu_);
    auto stalls = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return stalled_ > 0;
    };
    mu_.Await(absl::Condition(&stalls));
  }

  // How many have stalled so far.
  int stalled() const {
    absl::MutexLock lock(&mu_);
    return stalled_;
  }

  // Submit returns `status` from now on.
  void RefuseRequests(absl::Status status) {
    absl::MutexLock lock(&mu_);
    refusal_ = std::move(status);
  }

  // Accepted requests get all images but the first, and then `status`.
  void FailRequests(absl::Status status) {
    absl::MutexLock lock(&mu_);
    failure_ = std::move(status);
  }

  void SetReady(bool ready) {
    absl::MutexLock lock(&mu_);
    ready_ = ready;
  }

  // Blocks until `count` requests are held, and returns their ids.
  std::vector<RequestId> WaitForHeld(size_t count) {
    absl::MutexLock lock(&mu_);
    auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return held_.size() >= count;
    };
    mu_.Await(absl::Condition(&enough));
    std::vector<RequestId> ids;
    for (const auto& [id, held] : held_) ids.push_back(id);
    return ids;
  }

  // Blocks until `count` cancellations have come in.
  void WaitForCancels(int count) {
    absl::MutexLock lock(&mu_);
    auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return cancels_ >= count;
    };
    mu_.Await(absl::Condition(&enough));
  }

  // Blocks until Drain has been called.
  void WaitForDrain() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&draining_));
  }

  GenerationRequest HeldRequest(RequestId id) {
    absl::MutexLock lock(&mu_);
    return held_.at(id).request;
  }

  // Delivers the image at `position` of a held request.
  void DeliverHeld(RequestId id, uint32_t position) {
    Held held;
    {
      absl::MutexLock lock(&mu_);
      held = held_.at(id);
    }
    Deliver(held, position);
  }

  // Delivers a preview of the image at `position` of a held request.
  void DeliverPreviewHeld(RequestId id, uint32_t position, int t) {
    Held held;
    {
      absl::MutexLock lock(&mu_);
      held = held_.at(id);
    }
    DeliverPreview(held, position, t);
  }

  // Ends a held request. No effect if it was cancelled meanwhile.
  void FinishHeld(RequestId id, const absl::Status& status) {
    Held held;
    {
      absl::MutexLock lock(&mu_);
      const auto found = held_.find(id);
      if (found == held_.end()) return;
      held = std::move(found->second);
      held_.erase(found);
    }
    held.sink->OnFinished(status, {kQueueTime, kStepsTime});
  }

  // Engine:
  absl::StatusOr<Acceptance> Submit(
      const GenerationRequest& request,
      std::shared_ptr<GenerationSink> sink) override {
    Acceptance acceptance;
    absl::Status failure;
    {
      absl::MutexLock lock(&mu_);
      if (request.guide.has_value() && stall_guided_) {
        ++stalled_;
        auto resumed = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
          return !stall_guided_;
        };
        mu_.Await(absl::Condition(&resumed));
      }
      if (draining_) return absl::UnavailableError("draining");
      if (!refusal_.ok()) return refusal_;
      if (!request.model.empty() && request.model != "digits") {
        return absl::NotFoundError(
            absl::StrCat("model: no model '", request.model, "'"));
      }
      if (request.version.has_value() && *request.version != 3) {
        return absl::NotFoundError(absl::StrCat(
            "version: model 'digits' has no version ", *request.version));
      }
      acceptance = {.id = next_id_++,
                    .identity = identity(),
                    .shape = shape_,
                    .num_timesteps = kNumTimesteps,
                    .images_ahead = kImagesAhead,
                    .expected_start = kExpectedStart};
      if (hold_) {
        held_[acceptance.id] = {request, std::move(sink)};
        return acceptance;
      }
      failure = failure_;
    }
    const Held held = {request, std::move(sink)};
    const int steps =
        request.guide.has_value() ? request.guide->steps : kNumTimesteps;
    for (int t = request.previews ? steps - 1 : 0; t > 0; --t) {
      for (uint32_t i = request.count; i-- > 0;) DeliverPreview(held, i, t);
    }
    const uint32_t last_delivered = failure.ok() ? 0 : 1;
    for (uint32_t i = request.count; i-- > last_delivered;) Deliver(held, i);
    held.sink->OnFinished(failure, {kQueueTime, kStepsTime});
    return acceptance;
  }

  void Cancel(RequestId id) override {
    FinishHeld(id, absl::CancelledError("cancelled"));
    absl::MutexLock lock(&mu_);
    ++cancels_;
  }

  std::vector<ModelVersionStatus> ListModels() const override {
    ModelVersionStatus live;
    live.identity = identity();
    live.state = VersionState::kLive;
    live.shape = shape_;
    live.num_timesteps = kNumTimesteps;
    live.training_step = 20000;
    live.dataset = "mnist";
    live.loaded_at = absl::FromUnixMillis(1'700'000'000'250);
    ModelVersionStatus refused;
    refused.identity = {"digits", 2, std::string(64, '2')};
    refused.state = VersionState::kRefused;
    refused.reason = "model.safetensors: digest differs from the manifest's";
    return {live, refused};
  }

  bool Ready() const override {
    absl::MutexLock lock(&mu_);
    return ready_ && !draining_;
  }

  void Drain(absl::Time deadline) override {
    std::vector<RequestId> left;
    {
      absl::MutexLock lock(&mu_);
      draining_ = true;
      auto empty = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return held_.empty();
      };
      mu_.AwaitWithDeadline(absl::Condition(&empty), deadline);
      for (const auto& [id, held] : held_) left.push_back(id);
    }
    for (RequestId id : left) {
      FinishHeld(id, absl::UnavailableError("shut down"));
    }
  }

 private:
  struct Held {
    GenerationRequest request;
    std::shared_ptr<GenerationSink> sink;
  };

  static ModelIdentity identity() {
    return {"digits", 3, std::string(64, 'd')};
  }

  void Deliver(const Held& held, uint32_t position) const {
    const uint32_t index = held.request.first_index + position;
    held.sink->OnImage({.index = index,
                        .shape = shape_,
                        .pixel_format = held.request.pixel_format,
                        .pixels = FakePixels(held.request.seed, index, shape_,
                                             held.request.pixel_format)});
  }

  void DeliverPreview(const Held& held, uint32_t position, int t) const {
    const uint32_t index = held.request.first_index + position;
    held.sink->OnPreview(
        {.index = index,
         .shape = shape_,
         .pixel_format = held.request.pixel_format,
         .pixels = FakePreviewPixels(held.request.seed, index, t, shape_,
                                     held.request.pixel_format)},
        t);
  }

  const ImageShape shape_;

  mutable absl::Mutex mu_;
  bool hold_ ABSL_GUARDED_BY(mu_) = false;
  bool stall_guided_ ABSL_GUARDED_BY(mu_) = false;
  int stalled_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status refusal_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  bool ready_ ABSL_GUARDED_BY(mu_) = true;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  int cancels_ ABSL_GUARDED_BY(mu_) = 0;
  RequestId next_id_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<RequestId, Held> held_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_FAKE_ENGINE_H_

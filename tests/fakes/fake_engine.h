// An engine without models or devices: pictures are a function of seed and
// index, and a test decides when and how a request ends.
#ifndef DDGAN_TESTS_FAKES_FAKE_ENGINE_H_
#define DDGAN_TESTS_FAKES_FAKE_ENGINE_H_

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/api/generation.h"

namespace ddgan {

// What FakeEngine draws: bytes that differ by seed, index and place.
inline std::vector<uint8_t> FakePixels(uint64_t seed, uint32_t index,
                                       const ImageShape& shape,
                                       PixelFormat format) {
  const size_t size = shape.numel();
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

  // Has model "digits": version 4 on disk, 3 live, 2 refused and 1 loaded.
  explicit FakeEngine(ImageShape shape = {1, 8, 8})
      : shape_(shape), live_shape_(shape) {
    absl::MutexLock lock(&mu_);
    ModelStatus& digits = models_["digits"];
    digits.model = "digits";
    digits.versions = {
        Version(4, VersionState::kOnDisk), Version(3, VersionState::kLive),
        Version(2, VersionState::kRefused), Version(1, VersionState::kLoaded)};
  }

  // A version of "digits" as ListModels shows it.
  ModelVersionStatus Version(int64_t version, VersionState state) const {
    ModelVersionStatus status;
    status.identity = Identity(version);
    status.state = state;
    if (state == VersionState::kRefused) {
      status.reason = "model.safetensors: digest differs from the manifest's";
    }
    if (state == VersionState::kLive || state == VersionState::kLoaded) {
      status.shape = shape_;
      status.num_timesteps = kNumTimesteps;
      status.evaluations = kNumTimesteps;
      status.training_step = 20000;
      status.dataset = "mnist";
      status.loaded_at = absl::FromUnixMillis(1'700'000'000'250);
    }
    return status;
  }

  // Adds the model, or takes the place of the one of its name.
  void SetModel(const ModelStatus& model) {
    {
      absl::MutexLock lock(&mu_);
      models_[model.model] = model;
    }
    NotifyWatches();
  }

  void RemoveModel(const std::string& name) {
    {
      absl::MutexLock lock(&mu_);
      models_.erase(name);
    }
    NotifyWatches();
  }

  // Ends the loading that a pin has begun: the version is live, or refused for
  // that reason.
  void EndLoading(const std::string& model, int64_t version,
                  const std::string& refusal = "") {
    {
      absl::MutexLock lock(&mu_);
      ModelVersionStatus& status = *FindVersion(model, version);
      if (refusal.empty()) {
        MakeLive(model, version);
      } else {
        status.state = VersionState::kRefused;
        status.reason = refusal;
      }
    }
    NotifyWatches();
  }

  // Pin, Unpin and RollBack return `status` from now on.
  void RefuseControl(absl::Status status) {
    absl::MutexLock lock(&mu_);
    control_refusal_ = std::move(status);
  }

  // Pin does not return from now on, as if the disk hung, until ResumePins.
  void StallPins() {
    absl::MutexLock lock(&mu_);
    stall_pins_ = true;
  }
  void ResumePins() {
    absl::MutexLock lock(&mu_);
    stall_pins_ = false;
  }
  void WaitForStalledPin() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&pin_stalled_));
  }

  // Blocks until so many watches listen.
  void WaitForWatches(size_t count) {
    absl::MutexLock lock(&mu_);
    auto as_many = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return listeners_.size() == count;
    };
    mu_.Await(absl::Condition(&as_many));
  }

  // Accepts requests from now on and lets the test end them.
  void HoldRequests() {
    absl::MutexLock lock(&mu_);
    hold_ = true;
  }

  // From now on Submit returns only after Resume, or so for requests that have
  // a guide.
  void Stall() {
    absl::MutexLock lock(&mu_);
    stall_ = true;
  }
  void StallGuided() {
    absl::MutexLock lock(&mu_);
    stall_guided_ = true;
  }

  void Resume() {
    absl::MutexLock lock(&mu_);
    stall_ = stall_guided_ = false;
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

  // Reserve returns `status` from now on.
  void RefuseRequests(absl::Status status) {
    absl::MutexLock lock(&mu_);
    refusal_ = std::move(status);
  }

  // Submit returns `status` from now on.
  void RefuseSubmissions(absl::Status status) {
    absl::MutexLock lock(&mu_);
    submission_refusal_ = std::move(status);
  }

  // Accepted requests get all images but the first, and then `status`.
  void FailRequests(absl::Status status) {
    absl::MutexLock lock(&mu_);
    failure_ = std::move(status);
  }

  // The live version is another one from now on, whose images have `shape`.
  void GoLive(int64_t version, ImageShape shape) {
    absl::MutexLock lock(&mu_);
    live_ = version;
    live_shape_ = shape;
  }

  // How many places are reserved and not submitted.
  void WaitForPlaces(int wanted) const {
    absl::MutexLock lock(&mu_);
    const auto there = [&] {
      mu_.AssertHeld();
      return places_ == wanted;
    };
    mu_.Await(absl::Condition(&there));
  }
  int places() const {
    absl::MutexLock lock(&mu_);
    return places_;
  }
  // How many images they have room for.
  int place_images() const {
    absl::MutexLock lock(&mu_);
    return place_images_;
  }

  // How often Cancel has been called.
  int cancels() const {
    absl::MutexLock lock(&mu_);
    return cancels_;
  }

  // Liveness returns `liveness` from now on.
  void SetLiveness(absl::Status liveness) {
    absl::MutexLock lock(&mu_);
    liveness_ = std::move(liveness);
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

  // The picture of its guide; null without one.
  std::shared_ptr<const Picture> HeldGuide(RequestId id) {
    absl::MutexLock lock(&mu_);
    return held_.at(id).guide;
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
  absl::StatusOr<ResolvedModel> Resolve(
      const std::string& model, std::optional<int64_t> version) const override {
    absl::MutexLock lock(&mu_);
    if (!model.empty() && model != "digits") {
      return absl::NotFoundError(absl::StrCat("model: no model '", model, "'"));
    }
    if (version.value_or(live_) != live_) {
      return absl::NotFoundError(
          absl::StrCat("version: model 'digits' has no version ", *version));
    }
    auto handle = std::make_shared<ImageShape>(live_shape_);
    // Whatever is behind the handle is the engine's own.
    std::shared_ptr<const ServableVersion> opaque(
        handle, reinterpret_cast<const ServableVersion*>(handle.get()));
    return ResolvedModel{.identity = Identity(live_),
                         .shape = live_shape_,
                         .num_timesteps = kNumTimesteps,
                         .evaluations = kNumTimesteps,
                         .version = std::move(opaque)};
  }

  absl::StatusOr<std::unique_ptr<Reservation>> Reserve(
      const ResolvedModel& model, const GenerationRequest& request) override {
    absl::MutexLock lock(&mu_);
    if (draining_) return absl::UnavailableError("draining");
    if (!refusal_.ok()) return refusal_;
    ++places_;
    place_images_ += static_cast<int>(request.count);
    return std::make_unique<Place>(this, model, request);
  }

  absl::StatusOr<Acceptance> Submit(
      std::unique_ptr<Reservation> place, std::shared_ptr<const Picture> guide,
      std::shared_ptr<GenerationSink> sink) override {
    const auto& taken = static_cast<const Place&>(*place);
    Held held = {taken.model, taken.request, std::move(guide), std::move(sink)};
    place.reset();
    Acceptance acceptance;
    absl::Status failure;
    {
      absl::MutexLock lock(&mu_);
      if (stall_ || (stall_guided_ && held.request.guide.has_value())) {
        ++stalled_;
        auto resumed = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
          return !stall_ && !stall_guided_;
        };
        mu_.Await(absl::Condition(&resumed));
      }
      if (draining_) return absl::UnavailableError("draining");
      if (!submission_refusal_.ok()) return submission_refusal_;
      acceptance = {.id = next_id_++,
                    .identity = held.model.identity,
                    .shape = held.model.shape,
                    .num_timesteps = kNumTimesteps,
                    .evaluations = kNumTimesteps,
                    .images_ahead = kImagesAhead,
                    .expected_start = kExpectedStart};
      if (hold_) {
        held_[acceptance.id] = std::move(held);
        return acceptance;
      }
      failure = failure_;
    }
    const GenerationRequest& request = held.request;
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

  std::vector<ModelStatus> ListModels() const override {
    absl::MutexLock lock(&mu_);
    std::vector<ModelStatus> list;
    for (const auto& [name, model] : models_) list.push_back(model);
    return list;
  }

  absl::Status Pin(const std::string& model, int64_t version) override {
    {
      absl::MutexLock lock(&mu_);
      if (stall_pins_) {
        pin_stalled_ = true;
        auto resumed = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
          return !stall_pins_;
        };
        mu_.Await(absl::Condition(&resumed));
      }
      if (absl::Status s = CheckControl(model); !s.ok()) return s;
      ModelVersionStatus* const status = FindVersion(model, version);
      if (status == nullptr) {
        return absl::NotFoundError(absl::StrCat("version: model '", model,
                                                "' has no version ", version));
      }
      if (status->state == VersionState::kRefused) {
        return absl::FailedPreconditionError(
            absl::StrCat("version: ", version, ": ", status->reason));
      }
      models_[model].pinned = version;
      if (status->state == VersionState::kOnDisk) {
        status->state = VersionState::kLoading;
      } else {
        MakeLive(model, version);
      }
    }
    NotifyWatches();
    return absl::OkStatus();
  }

  absl::Status Unpin(const std::string& model) override {
    {
      absl::MutexLock lock(&mu_);
      if (absl::Status s = CheckControl(model); !s.ok()) return s;
      models_[model].pinned.reset();
    }
    NotifyWatches();
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> RollBack(const std::string& model) override {
    std::optional<int64_t> target;
    {
      absl::MutexLock lock(&mu_);
      if (absl::Status s = CheckControl(model); !s.ok()) return s;
      bool older = false;
      for (const ModelVersionStatus& version : models_[model].versions) {
        if (older && version.state == VersionState::kLoaded) {
          target = version.identity.version;
          break;
        }
        older |= version.state == VersionState::kLive;
      }
    }
    if (!target.has_value()) {
      return absl::FailedPreconditionError("no older sound version");
    }
    if (absl::Status s = Pin(model, *target); !s.ok()) return s;
    return *target;
  }

  std::unique_ptr<ModelWatch> WatchModels(
      std::function<void()> listener) override {
    auto shared = std::make_shared<Listener>(std::move(listener));
    absl::MutexLock lock(&mu_);
    listeners_.insert(shared);
    return std::make_unique<Watch>(this, shared);
  }

  absl::Status Liveness() const override {
    absl::MutexLock lock(&mu_);
    return liveness_;
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
    ResolvedModel model;
    GenerationRequest request;
    std::shared_ptr<const Picture> guide;
    std::shared_ptr<GenerationSink> sink;
  };

  struct Place : Reservation {
    Place(FakeEngine* engine, const ResolvedModel& model,
          const GenerationRequest& request)
        : engine(engine),
          model(model),
          request(request),
          images(static_cast<int>(request.count)) {}
    ~Place() override {
      absl::MutexLock lock(&engine->mu_);
      --engine->places_;
      engine->place_images_ -= images;
    }

    std::unique_ptr<Reservation> Take(
        absl::Span<const uint32_t> positions) override {
      GenerationRequest part = request;
      part.count = static_cast<uint32_t>(positions.size());
      part.noise.clear();
      for (const uint32_t position : positions) {
        part.noise.push_back(request.NoiseOf(position));
      }
      absl::MutexLock lock(&engine->mu_);
      ++engine->places_;
      images -= static_cast<int>(part.count);
      return std::make_unique<Place>(engine, model, part);
    }

    FakeEngine* const engine;
    const ResolvedModel model;
    const GenerationRequest request;
    int images;  // That were not taken.
  };

  struct Listener {
    explicit Listener(std::function<void()> notify)
        : notify(std::move(notify)) {}

    absl::Mutex mu;                                    // Held during a call.
    std::function<void()> notify ABSL_GUARDED_BY(mu);  // Empty: no longer.
  };

  class Watch : public ModelWatch {
   public:
    Watch(FakeEngine* engine, std::shared_ptr<Listener> listener)
        : engine_(engine), listener_(std::move(listener)) {}
    ~Watch() override {
      {
        absl::MutexLock lock(&listener_->mu);
        listener_->notify = nullptr;
      }
      absl::MutexLock lock(&engine_->mu_);
      engine_->listeners_.erase(listener_);
    }

   private:
    FakeEngine* const engine_;
    const std::shared_ptr<Listener> listener_;
  };

  static ModelIdentity Identity(int64_t version) {
    return {"digits", version, std::string(64, version == 2 ? '2' : 'd')};
  }

  void NotifyWatches() ABSL_LOCKS_EXCLUDED(mu_) {
    std::set<std::shared_ptr<Listener>> listeners;
    {
      absl::MutexLock lock(&mu_);
      listeners = listeners_;
    }
    for (const std::shared_ptr<Listener>& listener : listeners) {
      absl::MutexLock lock(&listener->mu);
      if (listener->notify) listener->notify();
    }
  }

  absl::Status CheckControl(const std::string& model) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!control_refusal_.ok()) return control_refusal_;
    if (models_.contains(model)) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("model: no model '", model, "'"));
  }

  ModelVersionStatus* FindVersion(const std::string& model, int64_t version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (ModelVersionStatus& status : models_[model].versions) {
      if (status.identity.version == version) return &status;
    }
    return nullptr;
  }

  void MakeLive(const std::string& model, int64_t version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (ModelVersionStatus& status : models_[model].versions) {
      if (status.identity.version == version) {
        status = Version(version, VersionState::kLive);
      } else if (status.state == VersionState::kLive) {
        status.state = VersionState::kLoaded;
      }
    }
  }

  void Deliver(const Held& held, uint32_t position) const {
    const ImageNoise noise = held.request.NoiseOf(position);
    const ImageShape& shape = held.model.shape;
    held.sink->OnImage(
        {.position = position,
         .index = noise.index,
         .shape = shape,
         .pixel_format = held.request.pixel_format,
         .pixels = PixelBuffer(FakePixels(noise.seed, noise.index, shape,
                                          held.request.pixel_format))});
  }

  void DeliverPreview(const Held& held, uint32_t position, int t) const {
    const ImageNoise noise = held.request.NoiseOf(position);
    const ImageShape& shape = held.model.shape;
    held.sink->OnPreview(
        {.position = position,
         .index = noise.index,
         .shape = shape,
         .pixel_format = held.request.pixel_format,
         .pixels = PixelBuffer(FakePreviewPixels(
             noise.seed, noise.index, t, shape, held.request.pixel_format))},
        t);
  }

  const ImageShape shape_;  // As ListModels shows it.

  mutable absl::Mutex mu_;
  ImageShape live_shape_ ABSL_GUARDED_BY(mu_);
  int64_t live_ ABSL_GUARDED_BY(mu_) = 3;
  int places_ ABSL_GUARDED_BY(mu_) = 0;
  int place_images_ ABSL_GUARDED_BY(mu_) = 0;
  bool hold_ ABSL_GUARDED_BY(mu_) = false;
  bool stall_ ABSL_GUARDED_BY(mu_) = false;
  bool stall_guided_ ABSL_GUARDED_BY(mu_) = false;
  int stalled_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status refusal_ ABSL_GUARDED_BY(mu_);
  absl::Status submission_refusal_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  bool ready_ ABSL_GUARDED_BY(mu_) = true;
  absl::Status liveness_ ABSL_GUARDED_BY(mu_);
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  int cancels_ ABSL_GUARDED_BY(mu_) = 0;
  RequestId next_id_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<RequestId, Held> held_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, ModelStatus> models_ ABSL_GUARDED_BY(mu_);
  absl::Status control_refusal_ ABSL_GUARDED_BY(mu_);
  bool stall_pins_ ABSL_GUARDED_BY(mu_) = false;
  bool pin_stalled_ ABSL_GUARDED_BY(mu_) = false;
  std::set<std::shared_ptr<Listener>> listeners_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_FAKE_ENGINE_H_

// Keeps one request's results and fails the test if the engine breaks the
// sink's contract.
#ifndef DDGAN_TESTS_FAKES_RECORDING_SINK_H_
#define DDGAN_TESTS_FAKES_RECORDING_SINK_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// Thread-safe.
class RecordingSink : public GenerationSink {
 public:
  // What there is to know of a GeneratedImage, copied out of the lane's memory.
  struct Delivered {
    uint32_t position = 0;
    uint32_t index = 0;
    ImageShape shape;
    std::vector<uint8_t> pixels;
  };

  void OnImage(GeneratedImage image) override {
    const Call call(*this);
    absl::MutexLock lock(&mu_);
    EXPECT_FALSE(status_) << "image " << image.index << " after OnFinished";
    const absl::Span<const uint8_t> pixels = image.pixels;
    images_.push_back({image.position,
                       image.index,
                       image.shape,
                       {pixels.begin(), pixels.end()}});
  }

  void OnFinished(const absl::Status& status,
                  const GenerationTimings& timings) override {
    const Call call(*this);
    absl::MutexLock lock(&mu_);
    EXPECT_FALSE(status_) << "OnFinished twice";
    status_ = status;
    timings_ = timings;
  }

  // Blocks until OnFinished.
  absl::Status Await() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &RecordingSink::HasStatus));
    return *status_;
  }

  bool finished() const {
    absl::MutexLock lock(&mu_);
    return HasStatus();
  }
  // Only after OnFinished.
  absl::Status status() const {
    absl::MutexLock lock(&mu_);
    return status_.value();
  }
  GenerationTimings timings() const {
    absl::MutexLock lock(&mu_);
    return timings_;
  }
  // In order of arrival.
  std::vector<Delivered> images() const {
    absl::MutexLock lock(&mu_);
    return images_;
  }

 private:
  // Two at a time would be a bug.
  class Call {
   public:
    explicit Call(RecordingSink& sink) : sink_(sink) {
      EXPECT_FALSE(sink_.busy_.exchange(true)) << "two calls at a time";
    }
    ~Call() { sink_.busy_ = false; }

   private:
    RecordingSink& sink_;
  };

  bool HasStatus() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return status_.has_value();
  }

  std::atomic<bool> busy_ = false;
  mutable absl::Mutex mu_;
  std::optional<absl::Status> status_ ABSL_GUARDED_BY(mu_);
  GenerationTimings timings_ ABSL_GUARDED_BY(mu_);
  std::vector<Delivered> images_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_RECORDING_SINK_H_

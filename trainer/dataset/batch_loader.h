// Batches of a data set's images, decoded in the background. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_BATCH_LOADER_H_
#define DDGAN_TRAINER_DATASET_BATCH_LOADER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "engine/base/clock.h"
#include "trainer/dataset/batch_source.h"
#include "trainer/dataset/image_dataset.h"

namespace ddgan {

// Row r of the global batch of step s is image order[(s % steps) * batch + r],
// where steps = size / batch is the number of steps of an epoch, the rest of
// which is left out, and order = EpochOrder(seed, s / steps, size). Each value
// v of [0, 255] becomes (v / 255 - 0.5) / 0.5.
//
// An image that the data set reports as damaged or not for this set is replaced
// by the next by index that can be read, after the last the first: whoever
// loads the row, now or after a resume, sees the same. Any other error of the
// data set may pass, so no image is replaced: the batch fails.
//
// One thread asks; threads of the loader decode, beginning with the first call
// of Batch, which says where. Buffers are made once and used again.
class BatchLoader : public BatchSource {
 public:
  struct Options {
    uint64_t seed = 0;
    // Images in the global batch, [1, size of the set].
    int batch_size = 1;
    // The rows of it that are wanted here, in their order; at least one, each
    // below batch_size.
    std::vector<uint32_t> rows;
    // Mirror each image, left to right, with probability 1/2: a function of
    // (seed, step, row) alone.
    bool flip = false;
    // Threads that decode, [1, 256].
    int threads = 2;
    // Batches that are decoded ahead of the one that was asked for, [1, 64].
    // They are held as floats, and so are that one and the one being used.
    int prefetch = 2;
  };

  // Of an image that was replaced, once: its index and what the data set says,
  // which names it. Called on a decoding thread, one call at a time; must not
  // block for long nor use the loader.
  using DamageReport = std::function<void(size_t, const absl::Status&)>;

  // `dataset` and `clock` must outlive the loader; `report` may be empty.
  //   InvalidArgument    an option out of range, or 2^32 images or more
  //   ResourceExhausted  the threads cannot be started
  static absl::StatusOr<std::unique_ptr<BatchLoader>> Create(
      const ImageDataset* dataset, Options options, Clock* clock,
      DamageReport report = nullptr);

  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;
  // Lets every thread finish the image that it decodes, and no other.
  ~BatchLoader() override;

  const ImageShape& shape() const override { return dataset_->shape(); }
  size_t size() const override { return dataset_->size(); }

  // Any step, in any order. A step after the last one that was asked for, by
  // `prefetch` or less, has been begun; others are begun now.
  //   InvalidArgument  step is not in [0, 2^62]
  //   DataLoss         no image of the set can be read
  //   another          the data set's, of the first row that failed so; the
  //                    step can be asked for again
  absl::StatusOr<absl::Span<const float>> Batch(int64_t step) override;

  double WaitSeconds() const override { return wait_seconds_; }
  int64_t DamagedSamples() const override;

 private:
  static constexpr int64_t kNoStep = -1;

  // One batch. `indices` and `samples` are written by whoever has the right to,
  // without the mutex: the asking thread while no row is being loaded, then a
  // thread its own row's samples.
  struct Slot {
    int64_t step = kNoStep;
    size_t next_row = 0;  // The first that no thread has taken.
    size_t loading = 0;   // Rows that threads are at.
    absl::Status status;  // Of the lowest row that failed.
    size_t failed_row = std::numeric_limits<size_t>::max();
    std::vector<uint32_t> indices;
    std::vector<float> samples;

    bool Complete() const { return next_row == indices.size() && loading == 0; }
  };

  BatchLoader(const ImageDataset* dataset, Options options, Clock* clock,
              DamageReport report);

  // Makes `slots_` hold the steps from `step` on, keeping what is there.
  void MoveTo(int64_t step) ABSL_LOCKS_EXCLUDED(mu_);
  void Begin(int64_t step, Slot* slot) ABSL_LOCKS_EXCLUDED(mu_);
  Slot& SlotOf(int64_t step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return slots_[static_cast<size_t>(step) % slots_.size()];
  }
  // The slot of the earliest step with a row that no thread has taken.
  Slot* NextSlot() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void RunThread();
  absl::Status LoadRow(uint32_t index, bool mirrored,
                       absl::Span<uint8_t> pixels, absl::Span<float> sample);
  absl::Status ReadImage(uint32_t index, absl::Span<uint8_t> pixels);
  bool IsKnownDamaged(uint32_t index);
  void NoteDamaged(uint32_t index, const absl::Status& status);
  bool Stopping();

  // Constant after construction.
  const ImageDataset* const dataset_;
  const Options options_;
  Clock* const clock_;
  const DamageReport report_;
  const size_t sample_size_;  // Values of one image.
  const int64_t steps_per_epoch_;
  std::array<float, 256> values_;  // By byte.

  // Of the asking thread.
  double wait_seconds_ = 0;
  int64_t order_epoch_ = -1;
  std::vector<uint32_t> order_;  // Of order_epoch_.

  absl::Mutex mu_;
  absl::CondVar work_;  // A row to take, or the end.
  absl::CondVar done_;  // No thread is at a row of some slot any more.
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  int64_t first_step_ ABSL_GUARDED_BY(mu_) = 0;  // That was asked for last.
  // Of step s: s modulo their number, which does not change.
  std::vector<Slot> slots_ ABSL_GUARDED_BY(mu_);

  // Never held together with mu_.
  mutable absl::Mutex damage_mu_;
  absl::flat_hash_set<uint32_t> damaged_ ABSL_GUARDED_BY(damage_mu_);

  std::vector<std::thread> threads_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_BATCH_LOADER_H_

// Where a training loop gets its batches from: images that are decoded in the
// background, or points that are drawn. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_BATCH_SOURCE_H_
#define DDGAN_TRAINER_DATASET_BATCH_SOURCE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// Thread-compatible: one training thread asks.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  // Of one sample. Points in the plane are 2 channels of 1x1.
  virtual const ImageShape& shape() const = 0;

  // Samples of one epoch, at least the global batch.
  virtual size_t size() const = 0;

  // This process's rows of the global batch of step `step` (0-based), in the
  // order in which the source was told to give them: float32 [rows, C, H, W],
  // images in [-1, 1]. A function of (data, seed, step) alone, however many
  // processes share the batch and whatever was asked before; steps asked in
  // ascending order are the fast case. The span is valid until the next call.
  //   DataLoss         no sample can be read
  //   InvalidArgument, OutOfRange  no such step
  //   others           the data set's, with the path; the step can be asked for
  //                    again
  virtual absl::StatusOr<absl::Span<const float>> Batch(int64_t step) = 0;

  // Seconds that calls of Batch waited for data, since construction.
  virtual double WaitSeconds() const = 0;

  // Samples that could not be read and were replaced by others, since
  // construction, each counted once.
  virtual int64_t DamagedSamples() const = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_BATCH_SOURCE_H_

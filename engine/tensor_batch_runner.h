// A BatchRunner on LibTorch tensors of one device, for GPUs: keeps the images
// in flight of one lane on the device and steps them with the general generator
// in batches of one pinned shape. No LibTorch in this header.
//
// Pinned shape: a step of n rows runs as ceil(n / P) steps of exactly P rows,
// P = `pinned_batch`, one after the other; the last is filled up with rows
// whose results are thrown away. Libraries choose kernels and their order of
// summation by shape, so with one shape every image is computed by the same
// kernels in the same order, whatever the load. That is how an image's bytes
// stay independent of its company. It costs time at both ends: a single image
// waits for a step of P rows, and a device that could take more than P rows at
// once is not given them. P is part of what an image depends on: lanes of
// another P, precision or kind of device agree to float rounding only.
//
// On a GPU the step of each model is recorded as a CUDA graph when the lane
// first runs that model, with the lane's own copy of the weights; after that
// nothing is allocated on the device for a step, except memory for more images
// in flight than ever before. All of a model's memory goes when nobody holds
// the Model any more, at the next call to this runner.
//
// On "cpu" the same steps are plain calls on one thread, that which created the
// runner. It is the twin that the tests run, not a way to serve on a CPU: that
// is ImageBatchRunner.
#ifndef DDGAN_ENGINE_TENSOR_BATCH_RUNNER_H_
#define DDGAN_ENGINE_TENSOR_BATCH_RUNNER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/batch_runner.h"
#include "engine/precision.h"

namespace ddgan {

struct TensorBatchRunnerOptions {
  std::string device = "cuda:0";  // "cuda:N", or "cpu" for tests.
  // "cpu" has no kTf32.
  Precision precision = Precision::kFloat32;
  int pinned_batch = 16;    // P, rows computed at once. [1, 256]
  int max_batch_size = 64;  // Rows of one step. [1, 4096]
  // Images in flight; a row that would start one more is refused. Each holds
  // one float32 image on the device. [max_batch_size, 1e6]
  int max_trajectories = 1024;
};

// Models must have been loaded for tensor lanes (engine/model/model_use.h);
// others are an Internal error of RunStep.
//   InvalidArgument     an option out of its range
//   Unimplemented       a GPU, but this build has no CUDA
//   FailedPrecondition  there is no such GPU
//   Internal            the GPU or LibTorch failed
absl::StatusOr<std::unique_ptr<BatchRunner>> CreateTensorBatchRunner(
    const TensorBatchRunnerOptions& options);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_TENSOR_BATCH_RUNNER_H_

// A lane on a GPU: keeps the images in flight on the device and steps them in
// batches of a few recorded shapes. No LibTorch in this header.
//
// Shapes: a step computes exactly 1, 4, 16, ... or P rows, P = `pinned_batch`;
// a batch of n rows runs as the shapes that measured cheapest, the last one
// filled up with rows whose results are thrown away. Libraries choose kernels
// and their order of summation by shape, so results of different shapes may
// differ in the last digits. Here they may not: the pinned shape decides the
// bytes, convolutions of other shapes run on kernels that were found to sum as
// those do (model/convolutions.h), and a shape is used for a model only after
// it has made up to 64 images, over all steps, in the bytes of the pinned one.
// One that fails is reported (on_notice), and its rows run as others. That is
// how an image's bytes stay independent of its company. P is part of what an
// image depends on: lanes of another P, precision, kind of GPU or version of
// cuDNN agree to float rounding only.
//
// On a GPU each shape is a CUDA graph per model, recorded when a batch first
// calls for it; after that nothing is allocated on the device for a step,
// except memory for more images in flight than ever before.
//
// With the device "cpu" the same steps are plain calls on one thread, that
// which created the runner: the GPU step on the CPU, which tests run. It is no
// way to serve on a CPU: that is cpu/cpu_lane_runner.h.
#ifndef DDGAN_ENGINE_LANES_GPU_GPU_LANE_RUNNER_H_
#define DDGAN_ENGINE_LANES_GPU_GPU_LANE_RUNNER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/api/precision.h"
#include "engine/lanes/batch_runner.h"

namespace ddgan {

struct GpuLaneRunnerOptions {
  std::string device = "cuda:0";  // "cuda:N", or "cpu" for tests.
  // "cpu" has no kTf32.
  Precision precision = Precision::kFloat32;
  // P, the shape that decides the bytes; its memory is taken in any case.
  // [1, 256]
  int pinned_batch = 64;
  int max_batch_size = 64;  // Rows of one step. [1, 4096]
  // Images in flight; a row that would start one more is refused. Each holds
  // one float32 image on the device. [max_batch_size, 1e6]
  int max_trajectories = 1024;
  // Told in a sentence which batch shapes are not used for a model, and why;
  // called by RunStep on its thread. May be empty.
  std::function<void(const std::string&)> on_notice;
};

// Models must have been loaded for GPU lanes (engine/model/model_use.h);
// others are an Internal error of RunStep.
//   InvalidArgument     an option out of its range
//   Unimplemented       a GPU, but this build has no CUDA
//   FailedPrecondition  there is no such GPU
//   Internal            the GPU or LibTorch failed
absl::StatusOr<std::unique_ptr<BatchRunner>> CreateGpuLaneRunner(
    const GpuLaneRunnerOptions& options);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_GPU_LANE_RUNNER_H_

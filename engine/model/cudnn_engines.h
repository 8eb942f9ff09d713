// One convolution in cuDNN's graph API (cudnn_graph.h): which of its kernels
// can compute it, and running one of them. LibTorch offers no choice of kernel.
// Only for builds with CUDA.
//
// Images are [N, C, H, W], weights [O, C, K, K], both channels_last on the GPU
// that `handle` is of, float32 or bfloat16; sums are float32. Everything throws
// c10::Error if cuDNN refuses.
#ifndef DDGAN_ENGINE_MODEL_CUDNN_ENGINES_H_
#define DDGAN_ENGINE_MODEL_CUDNN_ENGINES_H_

#include <ATen/core/Tensor.h>
#include <cudnn.h>

#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/api/precision.h"
#include "engine/model/cudnn_descriptor.h"

namespace ddgan::cudnn {

// One convolution of a network; the batch size comes beside it.
struct Shape {
  int64_t channels;
  int64_t height;
  int64_t width;
  int64_t out_channels;
  int64_t kernel;
  int64_t stride;
  int64_t padding;
  c10::ScalarType dtype;

  int64_t OutSize(int64_t size) const {
    return (size + 2 * padding - kernel) / stride + 1;
  }
  auto Tuple() const {
    return std::tie(channels, height, width, out_channels, kernel, stride,
                    padding, dtype);
  }
  bool operator<(const Shape& other) const { return Tuple() < other.Tuple(); }
};

// Which of cuDNN's kernels computes, in words that hold for every batch size.
struct Engine {
  int64_t index = 0;
  std::vector<std::pair<cudnnBackendKnobType_t, int64_t>> knobs;
};

// An engine made ready for one convolution and batch size.
struct Plan {
  Descriptor plan;
  int64_t workspace = 0;  // Bytes on the GPU.
};

// The operation graph of one convolution, and what it refers to.
class Graph {
 public:
  Graph(cudnnHandle_t handle, const Shape& shape, int64_t batch);

  const Descriptor& get() const { return graph_; }

 private:
  Descriptor x_;
  Descriptor weight_;
  Descriptor y_;
  Descriptor convolution_;
  Descriptor operation_;
  Descriptor graph_;
};

// The engines that cuDNN's heuristics propose for a graph and that compute what
// the number format promises, the same each time; the likely fastest first.
std::vector<Engine> ProposeEngines(const Graph& graph, Precision precision);

// No plan if the engine does not take this batch size.
std::optional<Plan> MakePlan(cudnnHandle_t handle, const Graph& graph,
                             const Engine& engine);

// Enqueues y = x * weight on the handle's stream.
void Execute(cudnnHandle_t handle, const Plan& plan, const at::Tensor& x,
             const at::Tensor& weight, const at::Tensor& y);

}  // namespace ddgan::cudnn

#endif  // DDGAN_ENGINE_MODEL_CUDNN_ENGINES_H_

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

#include "engine/model/channel_vector.h"
#include "engine/model/fused_gpu.h"

namespace ddgan {
namespace {

constexpr int kThreads = 256;
constexpr float kGroupNormEpsilon = 1e-6f;

// Where all pixels of some groups fit into the registers of one block of
// threads, a group norm is one kernel that reads and writes once. Else it is
// two. Both cut an image into chunks of whole pixels, one block each: the first
// sums every chunk's groups, the second adds the chunks' sums and writes. The
// sums are of differences to the group's first value, so that a mean that is
// large beside the deviation costs no digits.
constexpr int64_t kChunkElements = 8192;
constexpr int64_t kMaxChunks = 64;

int64_t Chunks(const GroupNormPass& pass) {
  return std::clamp<int64_t>(pass.pixels * pass.channels / kChunkElements, 1,
                             std::min(kMaxChunks, pass.pixels));
}

struct Sums {
  float sum;
  float squares;
};

__device__ Sums operator+(Sums a, Sums b) {
  return {a.sum + b.sum, a.squares + b.squares};
}

__device__ const float* OffsetsOf(const GroupNormPass& pass, int64_t image) {
  return pass.offsets == nullptr
             ? nullptr
             : pass.offsets + pass.t[image] * pass.offset_stride;
}

// The pixels [first, last) of this block's chunk.
struct Chunk {
  int first;
  int last;
};
__device__ Chunk ThisChunk(const GroupNormPass& pass) {
  const int64_t chunk = blockIdx.x, chunks = gridDim.x;
  return {static_cast<int>(pass.pixels * chunk / chunks),
          static_cast<int>(pass.pixels * (chunk + 1) / chunks)};
}

// The value that stands for its group in `image`.
template <typename T>
__device__ float Pivot(const GroupNormPass& pass, const T* image,
                       const float* offsets, int channel) {
  const int per_group = pass.channels / pass.groups;
  const int first = channel / per_group * per_group;
  const float value = static_cast<float>(image[first]);
  return offsets == nullptr ? value : value + offsets[first];
}

// Threads of a block are `rows` pixels of `columns` vectors of channels.
template <typename T, int kWidth>
__global__ void SumGroupsKernel(GroupNormPass pass, const T* x, Sums* partial) {
  extern __shared__ Sums sums[];  // [rows, channels]
  const int64_t image_index = blockIdx.y;
  const T* image = x + image_index * pass.pixels * pass.channels;
  const float* offsets = OffsetsOf(pass, image_index);
  const Chunk chunk = ThisChunk(pass);
  const int columns = pass.channels / kWidth;
  const int rows = max(1, kThreads / columns);
  const int row = threadIdx.x / columns;

  for (int column = threadIdx.x % columns; row < rows && column < columns;
       column += kThreads) {
    const int channel = column * kWidth;
    float shift[kWidth];  // Offset minus pivot.
    Sums total[kWidth];
#pragma unroll
    for (int v = 0; v < kWidth; ++v) {
      shift[v] = (offsets == nullptr ? 0.0f : offsets[channel + v]) -
                 Pivot(pass, image, offsets, channel + v);
      total[v] = {0, 0};
    }
    for (int pixel = chunk.first + row; pixel < chunk.last; pixel += rows) {
      const auto vector = *reinterpret_cast<const ChannelVector<T, kWidth>*>(
          image + pixel * pass.channels + channel);
#pragma unroll
      for (int v = 0; v < kWidth; ++v) {
        const float value = static_cast<float>(vector.values[v]) + shift[v];
        total[v].sum += value;
        total[v].squares += value * value;
      }
    }
#pragma unroll
    for (int v = 0; v < kWidth; ++v) {
      sums[row * pass.channels + channel + v] = total[v];
    }
  }
  __syncthreads();
  // First over rows, then over the channels of a group.
  for (int channel = threadIdx.x; channel < pass.channels;
       channel += kThreads) {
    Sums total = sums[channel];
    for (int r = 1; r < rows; ++r) {
      total = total + sums[r * pass.channels + channel];
    }
    sums[channel] = total;
  }
  __syncthreads();
  const int per_group = pass.channels / pass.groups;
  for (int group = threadIdx.x; group < pass.groups; group += kThreads) {
    Sums total = sums[group * per_group];
    for (int c = 1; c < per_group; ++c) {
      total = total + sums[group * per_group + c];
    }
    partial[(image_index * gridDim.x + blockIdx.x) * pass.groups + group] =
        total;
  }
}

__device__ float Silu(float x) { return x / (1.0f + expf(-x)); }

// x * factor + term is the normalised value of one channel.
struct Affine {
  float factor;
  float term;
};

template <typename T>
__device__ Affine ChannelAffine(const GroupNormPass& pass, const T* image,
                                const float* offsets, const T* scale,
                                const T* shift, int channel, Sums group) {
  const int64_t image_index = blockIdx.y;
  const float count =
      static_cast<float>(pass.pixels * (pass.channels / pass.groups));
  const float difference = group.sum / count;
  const float variance =
      fmaxf(group.squares / count - difference * difference, 0.0f);
  const float rstd = 1.0f / sqrtf(variance + kGroupNormEpsilon);
  const float mean = Pivot(pass, image, offsets, channel) + difference;
  const float offset = offsets == nullptr ? 0.0f : offsets[channel];
  const float factor =
      rstd *
      static_cast<float>(scale[image_index * pass.scale_stride + channel]);
  return {factor, (offset - mean) * factor +
                      static_cast<float>(
                          shift[image_index * pass.shift_stride + channel])};
}

template <typename T, int kWidth>
__global__ void NormaliseKernel(GroupNormPass pass, const T* x, const T* scale,
                                const T* shift, const Sums* partial, T* y) {
  extern __shared__ Affine affine[];  // [channels]
  Sums* group_sums =
      reinterpret_cast<Sums*>(affine + pass.channels);  // [parts, groups]
  const int64_t image_index = blockIdx.y;
  const T* image = x + image_index * pass.pixels * pass.channels;
  const float* offsets = OffsetsOf(pass, image_index);
  const int chunks = gridDim.x;

  // Every part of the threads adds some of the chunks.
  const int parts = max(1, kThreads / pass.groups);
  const Sums* of_image = partial + image_index * chunks * pass.groups;
  for (int i = threadIdx.x; i < parts * pass.groups; i += kThreads) {
    Sums total = {0, 0};
    for (int chunk = i / pass.groups; chunk < chunks; chunk += parts) {
      total = total + of_image[chunk * pass.groups + i % pass.groups];
    }
    group_sums[i] = total;
  }
  __syncthreads();
  const int per_group = pass.channels / pass.groups;
  for (int channel = threadIdx.x; channel < pass.channels;
       channel += kThreads) {
    const int group = channel / per_group;
    Sums total = group_sums[group];
    for (int part = 1; part < parts; ++part) {
      total = total + group_sums[part * pass.groups + group];
    }
    affine[channel] =
        ChannelAffine(pass, image, offsets, scale, shift, channel, total);
  }
  __syncthreads();

  const Chunk chunk = ThisChunk(pass);
  const int columns = pass.channels / kWidth;
  const int last = chunk.last * columns;
  using Vector = ChannelVector<T, kWidth>;
  const Vector* from = reinterpret_cast<const Vector*>(image);
  Vector* to =
      reinterpret_cast<Vector*>(y + image_index * pass.pixels * pass.channels);
  for (int i = chunk.first * columns + threadIdx.x; i < last; i += kThreads) {
    const int channel = i % columns * kWidth;
    Vector vector = from[i];
#pragma unroll
    for (int v = 0; v < kWidth; ++v) {
      const Affine a = affine[channel + v];
      const float value =
          static_cast<float>(vector.values[v]) * a.factor + a.term;
      vector.values[v] = static_cast<T>(pass.silu ? Silu(value) : value);
    }
    to[i] = vector;
  }
}

// A block holds a slab, all pixels of some channels, whole groups: `columns`
// vectors of channels by `rows` pixels at a time, kVectors times.
constexpr int kSlabThreads = 512;
constexpr int kMostSlabVectors = 16;

// Channels of a slab; 0: not even one group fits. The fewest that make reads of
// 64 bytes and give every thread work, where as many fit.
template <typename T>
int SlabChannels(const GroupNormPass& pass) {
  constexpr int kWidth = kWidestChannelVector<T>;
  const int per_group = pass.channels / pass.groups;
  int best = 0;
  for (int channels = per_group; channels <= pass.channels;
       channels += per_group) {
    if (channels % kWidth != 0 || pass.channels % channels != 0) continue;
    if (channels > kSlabThreads) break;
    const int columns = channels / kWidth;
    const int rows = kSlabThreads / columns;
    if ((pass.pixels + rows - 1) / rows > kMostSlabVectors) break;
    best = channels;
    if (channels * sizeof(T) >= 64 && pass.pixels * columns >= kSlabThreads) {
      break;
    }
  }
  return best;
}

template <typename T, int kVectors>
__global__ void __launch_bounds__(kSlabThreads)
    NormaliseSlabKernel(GroupNormPass pass, int slab, const T* x,
                        const T* scale, const T* shift, T* y) {
  constexpr int kWidth = kWidestChannelVector<T>;
  using Vector = ChannelVector<T, kWidth>;
  // Of every thread its sums by channel; the padding spreads them over banks.
  __shared__ Sums thread_sums[kWidth][kSlabThreads + 4];
  __shared__ Sums part_sums[kSlabThreads];  // [parts, slab]
  extern __shared__ Affine affine[];        // [slab]
  const int64_t image_index = blockIdx.y;
  const T* image = x + image_index * pass.pixels * pass.channels;
  const float* offsets = OffsetsOf(pass, image_index);
  const int first_channel = blockIdx.x * slab;
  const int columns = slab / kWidth;
  const int rows = kSlabThreads / columns;
  const int column = threadIdx.x % columns, row = threadIdx.x / columns;
  const int channel = first_channel + column * kWidth;
  const int pixels = row < rows ? static_cast<int>(pass.pixels) : 0;

  Vector vectors[kVectors];
#pragma unroll
  for (int k = 0; k < kVectors; ++k) {
    const int pixel = row + k * rows;
    if (pixel < pixels) {
      vectors[k] = *reinterpret_cast<const Vector*>(
          image + pixel * pass.channels + channel);
    }
  }
#pragma unroll
  for (int v = 0; v < kWidth; ++v) {
    const float difference =
        (offsets == nullptr ? 0.0f : offsets[channel + v]) -
        Pivot(pass, image, offsets, channel + v);
    Sums total = {0, 0};
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      if (row + k * rows < pixels) {
        const float value =
            static_cast<float>(vectors[k].values[v]) + difference;
        total.sum += value;
        total.squares += value * value;
      }
    }
    thread_sums[v][threadIdx.x] = total;
  }
  __syncthreads();
  // Rows to parts, one thread each; then parts and channels to groups.
  const int parts = kSlabThreads / slab;
  for (int i = threadIdx.x; i < parts * slab; i += kSlabThreads) {
    const int part = i / slab, v = i % slab / columns, c = i % columns;
    Sums total = {0, 0};
    for (int r = part; r < rows; r += parts) {
      total = total + thread_sums[v][r * columns + c];
    }
    part_sums[part * slab + c * kWidth + v] = total;
  }
  __syncthreads();
  const int per_group = pass.channels / pass.groups;
  for (int c = threadIdx.x; c < slab; c += kSlabThreads) {
    const int first = c / per_group * per_group;
    Sums total = {0, 0};
    for (int part = 0; part < parts; ++part) {
      for (int j = 0; j < per_group; ++j) {
        total = total + part_sums[part * slab + first + j];
      }
    }
    affine[c] = ChannelAffine(pass, image, offsets, scale, shift,
                              first_channel + c, total);
  }
  __syncthreads();

  T* to = y + image_index * pass.pixels * pass.channels;
#pragma unroll
  for (int k = 0; k < kVectors; ++k) {
    const int pixel = row + k * rows;
    if (pixel < pixels) {
#pragma unroll
      for (int v = 0; v < kWidth; ++v) {
        const Affine a = affine[column * kWidth + v];
        const float value =
            static_cast<float>(vectors[k].values[v]) * a.factor + a.term;
        vectors[k].values[v] = static_cast<T>(pass.silu ? Silu(value) : value);
      }
      *reinterpret_cast<Vector*>(to + pixel * pass.channels + channel) =
          vectors[k];
    }
  }
}

template <typename T>
void LaunchSlabs(const GroupNormPass& pass, int slab, const T* x,
                 const T* scale, const T* shift, T* y) {
  const dim3 grid(static_cast<unsigned>(pass.channels / slab),
                  static_cast<unsigned>(pass.batch));
  const int rows = kSlabThreads / (slab / kWidestChannelVector<T>);
  const int64_t vectors = (pass.pixels + rows - 1) / rows;
  const auto launch = [&](auto kernel) {
    kernel<<<grid, kSlabThreads, slab * sizeof(Affine),
             c10::cuda::getCurrentCUDAStream()>>>(pass, slab, x, scale, shift,
                                                  y);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  };
  if (vectors <= 1) return launch(NormaliseSlabKernel<T, 1>);
  if (vectors <= 2) return launch(NormaliseSlabKernel<T, 2>);
  if (vectors <= 4) return launch(NormaliseSlabKernel<T, 4>);
  if (vectors <= 8) return launch(NormaliseSlabKernel<T, 8>);
  launch(NormaliseSlabKernel<T, kMostSlabVectors>);
}

template <typename T, int kWidth>
void LaunchGroupNorm(const GroupNormPass& pass, const T* x, const T* scale,
                     const T* shift, float* workspace, T* y) {
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  const dim3 grid(static_cast<unsigned>(Chunks(pass)),
                  static_cast<unsigned>(pass.batch));
  const int rows = std::max(1, kThreads / (pass.channels / kWidth));
  const int parts = std::max(1, kThreads / pass.groups);
  Sums* partial = reinterpret_cast<Sums*>(workspace);
  SumGroupsKernel<T, kWidth>
      <<<grid, kThreads, rows * pass.channels * sizeof(Sums), stream>>>(
          pass, x, partial);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  NormaliseKernel<T, kWidth>
      <<<grid, kThreads,
         pass.channels * sizeof(Affine) + parts * pass.groups * sizeof(Sums),
         stream>>>(pass, x, scale, shift, partial, y);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void GroupNorm(const GroupNormPass& pass, const T* x, const T* scale,
               const T* shift, float* workspace, T* y) {
  if (const int slab = SlabChannels<T>(pass); slab > 0) {
    LaunchSlabs(pass, slab, x, scale, shift, y);
  } else if (pass.channels % kWidestChannelVector<T> == 0) {
    LaunchGroupNorm<T, kWidestChannelVector<T>>(pass, x, scale, shift,
                                                workspace, y);
  } else {
    LaunchGroupNorm<T, 1>(pass, x, scale, shift, workspace, y);
  }
}

}  // namespace

int64_t GroupNormWorkspace(const GroupNormPass& pass) {
  return pass.batch * Chunks(pass) * pass.groups *
         static_cast<int64_t>(sizeof(Sums) / sizeof(float));
}

void GroupNormGpu(const GroupNormPass& pass, const float* x, const float* scale,
                  const float* shift, float* workspace, float* y) {
  GroupNorm(pass, x, scale, shift, workspace, y);
}

void GroupNormGpu(const GroupNormPass& pass, const c10::BFloat16* x,
                  const c10::BFloat16* scale, const c10::BFloat16* shift,
                  float* workspace, c10::BFloat16* y) {
  GroupNorm(pass, x, scale, shift, workspace, y);
}

}  // namespace ddgan

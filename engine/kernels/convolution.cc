#include "engine/kernels/convolution.h"

#include <algorithm>

#include "engine/kernels/matrix_product.h"
#include "engine/kernels/narrow_convolution.h"
#include "engine/kernels/winograd.h"

namespace ddgan::kernels {
namespace {

// Pixels of one task of a direct convolution.
constexpr int64_t kBlockPixels = 64;
constexpr int kMaxTaps = 9;
// In a row of a Winograd tile.
constexpr int64_t kMaxTilePixels = 6;
// Of which a pixel's values are copied to lie side by side.
constexpr int64_t kFewChannels = 4;
// Tiles that go through the three stages of a Winograd convolution together, at
// most: as many as read the weights seldom.
constexpr int64_t kChunkTiles = 64;
// Transformed tiles of a thread's own, in and out, that its second-level cache
// keeps from stage to stage; but not so few tiles that weights are read often.
constexpr int64_t kResidentTiles = 48 * 1024;
constexpr int64_t kLeastTiles = 16;
// Weights above which no thread takes tiles of its own through all stages: all
// threads together read them once per chunk.
constexpr int64_t kOwnWeights = 256 * 1024;
// Added to the distance of positions, so that it is no power of 2: a cache
// would keep few lines at such a distance.
constexpr int64_t kLineFloats = 16;
// So that no thread waits long for the last task.
constexpr int64_t kTasksPerThread = 3;

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Panels of one task: as many as the cache holds, fewer if there would be too
// few tasks.
int64_t PanelsPerTask(int64_t depth, int64_t panels, int64_t other_tasks,
                      int threads) {
  const int64_t resident =
      std::max<int64_t>(kResidentWeights / (depth * kPanelColumns), 2);
  const int64_t wanted_groups =
      CeilDivide(kTasksPerThread * threads, other_tasks);
  const int64_t shared = std::max<int64_t>(panels / wanted_groups, 1);
  return std::min({resident, shared, panels});
}

// Tiles on their way through the three stages of a Winograd convolution:
// [position, tile, channel], positions `..._stride` apart.
struct Stages {
  // For `tiles` of them, in `memory`.
  Stages(const ConvolutionShape& shape, int64_t positions, int64_t tiles,
         float* memory)
      : in_stride(tiles * shape.in + kLineFloats),
        out_stride(tiles * shape.out + kLineFloats),
        inputs(memory),
        outputs(memory + positions * in_stride) {}

  static int64_t Floats(const ConvolutionShape& shape, int64_t positions,
                        int64_t tiles) {
    return positions * (tiles * (shape.in + shape.out) + 2 * kLineFloats);
  }

  int64_t in_stride;
  int64_t out_stride;
  float* inputs;
  float* outputs;
};

// Whether a direct convolution has so few outputs that a panel would be mostly
// empty.
bool IsNarrow(const ConvolutionShape& shape) {
  return shape.kernel == 3 && shape.stride == 1 && shape.padding == 1 &&
         shape.out <= kPanelColumns / 4;
}

// The runs of output pixels [first, first + count) of `image`: one per tap, of
// a pixel's channels.
void FindRuns(const ConvolutionShape& shape, const float* image,
              const float* zeros, int64_t first, int64_t count,
              const float** runs) {
  const int64_t size = shape.size, out_size = shape.out_size();
  if (shape.kernel == 1 && shape.stride == 1 && shape.padding == 0) {
    for (int64_t i = 0; i < count; ++i) {
      runs[i] = image + (first + i) * shape.in;
    }
    return;
  }
  int64_t top = first / out_size * shape.stride - shape.padding;
  int64_t left = first % out_size * shape.stride - shape.padding;
  for (int64_t pixel = 0; pixel < count; ++pixel) {
    for (int64_t row = top; row < top + shape.kernel; ++row) {
      const bool row_inside = row >= 0 && row < size;
      for (int64_t column = left; column < left + shape.kernel; ++column) {
        const bool inside = row_inside && column >= 0 && column < size;
        *runs++ = inside ? image + (row * size + column) * shape.in : zeros;
      }
    }
    left += shape.stride;
    if (left == out_size * shape.stride - shape.padding) {
      left = -shape.padding;
      top += shape.stride;
    }
  }
}

}  // namespace

Filters FiltersOf(const ConvolutionShape& shape, const float* weight) {
  const int taps = shape.kernel * shape.kernel;
  return {weight, shape.in, shape.out, taps, taps, taps * shape.in, 1};
}

Convolution::Convolution(const ConvolutionShape& shape,
                         ConvolutionMethod method, const Filters& filters)
    : shape_(shape),
      method_(method),
      weight_count_(PackedWeights(shape, method)),
      weights_(NewFloatBuffer(weight_count_)) {
  zeros_ = NewFloatBuffer(kMaxTilePixels * shape.in);
  std::fill_n(zeros_.get(), kMaxTilePixels * shape.in, 0.0f);
  if (method == ConvolutionMethod::kDirect) {
    PackFilters(filters, weights_.get());
  } else {
    TransformFilters(TileOf(method), filters, weights_.get());
  }
}

int64_t Convolution::BlockTiles() const {
  const int64_t e = TileOf(method_) + 2;
  const int64_t resident = kResidentTiles / (e * e * (shape_.in + shape_.out));
  return std::clamp(resident / 8 * 8, kLeastTiles, kChunkTiles);
}

int64_t Convolution::scratch_count(int threads) const {
  if (method_ == ConvolutionMethod::kDirect) {
    return IsNarrow(shape_) ? threads * NarrowScratch(shape_.size, shape_.in)
                            : 0;
  }
  const int64_t e = TileOf(method_) + 2;
  return weight_count_ > kOwnWeights
             ? Stages::Floats(shape_, e * e, kChunkTiles)
             : threads * Stages::Floats(shape_, e * e, BlockTiles());
}

void Convolution::Run(const float* x, int64_t images,
                      const float* const* biases, float* y, float* scratch,
                      ThreadPool& threads) const {
  if (method_ == ConvolutionMethod::kDirect) {
    if (IsNarrow(shape_)) {
      RunNarrow(x, images, biases, y, scratch, threads);
    } else {
      RunDirect(x, images, biases, y, threads);
    }
  } else {
    RunWinograd(x, images, biases, y, scratch, threads);
  }
}

void Convolution::RunNarrow(const float* x, int64_t images,
                            const float* const* biases, float* y,
                            float* scratch, ThreadPool& threads) const {
  const int64_t in = shape_.in, out = shape_.out, size = shape_.size;
  const int64_t blocks = CeilDivide(size, kNarrowRows);
  const int64_t work = kNarrowRows * size * 9 * in * out / 16;
  threads.RunOnThreads(images * blocks, work, [&](int64_t task, int thread) {
    const int64_t image = task / blocks;
    const int64_t first = task % blocks * kNarrowRows;
    ConvolveNarrow({.x = x + image * size * size * in,
                    .size = size,
                    .in = in,
                    .out = out,
                    .weights = weights_.get(),
                    .weight_stride = kPanelColumns,
                    .bias = biases[image],
                    .y = y + image * size * size * out},
                   first, std::min(first + kNarrowRows, size),
                   scratch + thread * NarrowScratch(size, in));
  });
}

void Convolution::RunDirect(const float* x, int64_t images,
                            const float* const* biases, float* y,
                            ThreadPool& threads) const {
  const int64_t in = shape_.in, out = shape_.out, size = shape_.size;
  const int64_t out_size = shape_.out_size(), pixels = out_size * out_size;
  const int taps = shape_.kernel * shape_.kernel;
  const PackedMatrix weights = {weights_.get(), taps * in, out};
  const int64_t blocks = CeilDivide(pixels, kBlockPixels);
  const int64_t panels = PanelsOf(out);
  const int64_t panels_per_task =
      PanelsPerTask(taps * in, panels, images * blocks, threads.threads());
  const int64_t groups = CeilDivide(panels, panels_per_task);
  // Tasks of the same weights follow each other.
  const int64_t work = kBlockPixels * taps * in * panels_per_task;
  threads.Run(groups * images * blocks, work, [&](int64_t task) {
    const int64_t group = task / (images * blocks);
    const int64_t image = task / blocks % images, block = task % blocks;
    const int64_t first = block * kBlockPixels;
    const int64_t count = std::min(kBlockPixels, pixels - first);
    const float* source = x + image * size * size * in;
    const float* runs[kBlockPixels * kMaxTaps];
    FindRuns(shape_, source, zeros_.get(), first, count, runs);
    LeftRows rows = {.runs = runs, .rows = count, .taps = taps, .run = in};
    // Few channels: one run of all taps.
    float gathered[kBlockPixels * kMaxTaps * kFewChannels];
    if (taps > 1 && in <= kFewChannels) {
      float* to = gathered;
      for (int64_t i = 0; i < count * taps; ++i) {
        to = std::copy_n(runs[i], in, to);
      }
      for (int64_t i = 0; i < count; ++i) runs[i] = gathered + i * taps * in;
      rows = {.runs = runs, .rows = count, .taps = 1, .run = taps * in};
    }
    MultiplyRows(rows, weights, group * panels_per_task,
                 std::min((group + 1) * panels_per_task, panels), biases[image],
                 0, y + (image * pixels + first) * out, out);
  });
}

void Convolution::RunWinograd(const float* x, int64_t images,
                              const float* const* biases, float* y,
                              float* scratch, ThreadPool& threads) const {
  const int64_t in = shape_.in, out = shape_.out, size = shape_.size;
  const int m = TileOf(method_), positions = (m + 2) * (m + 2);
  const int64_t side = size / m, tiles_per_image = side * side;
  const int64_t packed = PackedSize(in, out), panels = PanelsOf(out);
  // Tile i of all, as tile `at` of those at hand.
  const auto transform_input = [&](int64_t i, const Stages& to, int64_t at) {
    const int64_t image = i / tiles_per_image, tile = i % tiles_per_image;
    TransformInput(m, x + image * size * size * in, size, in, zeros_.get(),
                   tile / side, tile % side, to.inputs + at * in, to.in_stride);
  };
  const auto multiply = [&](const Stages& stages, int64_t tiles,
                            int64_t position, int64_t first, int64_t last) {
    const float* runs[kChunkTiles];
    for (int64_t i = 0; i < tiles; ++i) {
      runs[i] = stages.inputs + position * stages.in_stride + i * in;
    }
    MultiplyRows({.runs = runs, .rows = tiles, .taps = 1, .run = in},
                 {weights_.get() + position * packed, in, out}, first, last,
                 nullptr, 0, stages.outputs + position * stages.out_stride,
                 out);
  };
  const auto transform_output = [&](int64_t i, const Stages& from, int64_t at) {
    const int64_t image = i / tiles_per_image, tile = i % tiles_per_image;
    TransformOutput(m, from.outputs + at * out, from.out_stride, biases[image],
                    y + image * size * size * out, size, out, tile / side,
                    tile % side);
  };
  const int64_t all = images * tiles_per_image;
  // A transform is some 8 operations per position.
  const int64_t in_work = 8 * positions * PanelsOf(in);
  const int64_t out_work = 8 * positions * panels;
  if (weight_count_ <= kOwnWeights) {
    const int64_t block =
        std::min(BlockTiles(), CeilDivide(all, threads.threads()));
    const int64_t work = block * (in_work + out_work + positions * in * panels);
    const int64_t own = Stages::Floats(shape_, positions, BlockTiles());
    threads.RunOnThreads(
        CeilDivide(all, block), work, [&](int64_t task, int thread) {
          const Stages stages(shape_, positions, block, scratch + thread * own);
          const int64_t first = task * block;
          const int64_t tiles = std::min(block, all - first);
          for (int64_t i = 0; i < tiles; ++i) {
            transform_input(first + i, stages, i);
          }
          for (int64_t position = 0; position < positions; ++position) {
            multiply(stages, tiles, position, 0, panels);
          }
          for (int64_t i = 0; i < tiles; ++i) {
            transform_output(first + i, stages, i);
          }
        });
    return;
  }
  const Stages stages(shape_, positions, kChunkTiles, scratch);
  for (int64_t first = 0; first < all; first += kChunkTiles) {
    const int64_t tiles = std::min(kChunkTiles, all - first);
    threads.Run(tiles, in_work,
                [&](int64_t i) { transform_input(first + i, stages, i); });
    const int64_t panels_per_task =
        PanelsPerTask(in, panels, positions, threads.threads());
    const int64_t groups = CeilDivide(panels, panels_per_task);
    threads.Run(
        positions * groups, tiles * in * panels_per_task, [&](int64_t task) {
          const int64_t group = task % groups;
          multiply(stages, tiles, task / groups, group * panels_per_task,
                   std::min((group + 1) * panels_per_task, panels));
        });
    threads.Run(tiles, out_work,
                [&](int64_t i) { transform_output(first + i, stages, i); });
  }
}

}  // namespace ddgan::kernels

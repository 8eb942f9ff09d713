#include "engine/kernels/convolution.h"

#include <algorithm>
#include <vector>

#include "engine/kernels/matrix_product.h"
#include "engine/kernels/winograd.h"

namespace ddgan::kernels {
namespace {

// Pixels of one task of a direct convolution.
constexpr int64_t kBlockPixels = 64;
constexpr int kMaxTaps = 9;
// Packed weights that a core's second-level cache keeps beside the images.
constexpr int64_t kResidentWeights = 64 * 1024;
// Tiles that go through the three stages of a Winograd convolution together: as
// many as read the weights seldom, and few enough for the caches.
constexpr int64_t kChunkTiles = 64;
// So that no thread waits long for the last task.
constexpr int64_t kTasksPerThread = 3;

// One thread alone is faster with what fits into its own cache.
constexpr int64_t kChunkTilesOfOneThread = 32;

// Floats between two positions: no power of two, or all positions of a tile
// would fall into the same few lines of the cache.
int64_t PositionStride(int64_t channels) { return kChunkTiles * channels + 16; }

int TileOf(ConvolutionMethod method) {
  return method == ConvolutionMethod::kWinograd2x2 ? 2 : 4;
}

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

// Whether the method suits the layer, by shape and by measurement
// (tests/benchmark/sampler_benchmark.cc): below 16 pixels weights that fill a
// cache take longer to read than is saved.
bool Suits(const ConvolutionShape& shape, ConvolutionMethod method) {
  if (method == ConvolutionMethod::kDirect) return true;
  return shape.kernel == 3 && shape.stride == 1 && shape.padding == 1 &&
         shape.in >= 8 && shape.out >= 8 && shape.size % TileOf(method) == 0 &&
         (shape.size >= 16 || shape.in * shape.out <= kResidentWeights / 16);
}

// Multiplications of one image.
int64_t MultiplicationsOf(const ConvolutionShape& shape,
                          ConvolutionMethod method) {
  const int64_t size = shape.out_size();
  if (method == ConvolutionMethod::kDirect) {
    return size * size * shape.kernel * shape.kernel * shape.in * shape.out;
  }
  const int64_t tiles = size / TileOf(method), e = TileOf(method) + 2;
  return tiles * tiles * e * e * shape.in * shape.out;
}

// One layer from one method to another.
struct Change {
  size_t layer;
  ConvolutionMethod from;
  ConvolutionMethod to;
  int64_t weights;  // That it adds. > 0
  double worth;     // Multiplications saved per weight.
};

}  // namespace

Convolution::Convolution(const ConvolutionShape& shape,
                         ConvolutionMethod method, const Filters& filters)
    : shape_(shape),
      method_(method),
      weight_count_(PackedWeights(shape, method)),
      weights_(NewFloatBuffer(weight_count_)) {
  zeros_ = NewFloatBuffer(shape.in);
  std::fill_n(zeros_.get(), shape.in, 0.0f);
  if (method == ConvolutionMethod::kDirect) {
    PackFilters(filters, weights_.get());
  } else {
    TransformFilters(TileOf(method), filters, weights_.get());
  }
}

int64_t Convolution::scratch_count() const {
  if (method_ == ConvolutionMethod::kDirect) return 0;
  const int e = TileOf(method_) + 2;
  return e * e * (PositionStride(shape_.in) + PositionStride(shape_.out));
}

void Convolution::Run(const float* x, int64_t images,
                      const float* const* biases, float* y, float* scratch,
                      ThreadPool& threads) const {
  if (method_ == ConvolutionMethod::kDirect) {
    RunDirect(x, images, biases, y, threads);
  } else {
    RunWinograd(x, images, biases, y, scratch, threads);
  }
}

void Convolution::RunDirect(const float* x, int64_t images,
                            const float* const* biases, float* y,
                            ThreadPool& threads) const {
  const int64_t in = shape_.in, out = shape_.out, size = shape_.size;
  const int64_t out_size = shape_.out_size(), pixels = out_size * out_size;
  const int kernel = shape_.kernel, taps = kernel * kernel;
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
    const float** run = runs;
    int64_t line = first / out_size, at = first % out_size;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t top = line * shape_.stride - shape_.padding;
      const int64_t left = at * shape_.stride - shape_.padding;
      if (++at == out_size) {
        at = 0;
        ++line;
      }
      for (int64_t row = top; row < top + kernel; ++row) {
        for (int64_t column = left; column < left + kernel; ++column) {
          const bool inside =
              row >= 0 && row < size && column >= 0 && column < size;
          *run++ = inside ? source + (row * size + column) * in : zeros_.get();
        }
      }
    }
    MultiplyRows({.runs = runs, .rows = count, .taps = taps, .run = in},
                 weights, group * panels_per_task,
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
  float* const inputs = scratch;  // [q, tile, in]
  const int64_t in_stride = PositionStride(in);
  const int64_t out_stride = PositionStride(out);
  float* const outputs = scratch + positions * in_stride;  // [q, tile, o]
  const int64_t all = images * tiles_per_image;
  const int64_t chunk =
      threads.threads() == 1 ? kChunkTilesOfOneThread : kChunkTiles;
  for (int64_t first = 0; first < all; first += chunk) {
    const int64_t tiles = std::min(chunk, all - first);
    // A transform is some 8 operations per position.
    const int64_t in_work = 8 * positions * PanelsOf(in);
    threads.Run(tiles, in_work, [&](int64_t i) {
      const int64_t image = (first + i) / tiles_per_image;
      const int64_t tile = (first + i) % tiles_per_image;
      TransformInput(m, x + image * size * size * in, size, in, tile / side,
                     tile % side, inputs + i * in, in_stride);
    });
    const int64_t panels_per_task =
        PanelsPerTask(in, panels, positions, threads.threads());
    const int64_t groups = CeilDivide(panels, panels_per_task);
    const int64_t work = tiles * in * panels_per_task;
    threads.Run(positions * groups, work, [&](int64_t task) {
      const int64_t position = task / groups, group = task % groups;
      const float* runs[kChunkTiles];
      for (int64_t i = 0; i < tiles; ++i) {
        runs[i] = inputs + position * in_stride + i * in;
      }
      MultiplyRows({.runs = runs, .rows = tiles, .taps = 1, .run = in},
                   {weights_.get() + position * packed, in, out},
                   group * panels_per_task,
                   std::min((group + 1) * panels_per_task, panels), nullptr, 0,
                   outputs + position * out_stride, out);
    });
    threads.Run(tiles, 8 * positions * panels, [&](int64_t i) {
      const int64_t image = (first + i) / tiles_per_image;
      const int64_t tile = (first + i) % tiles_per_image;
      TransformOutput(m, outputs + i * out, out_stride, biases[image],
                      y + image * size * size * out, size, out, tile / side,
                      tile % side);
    });
  }
}

Filters FiltersOf(const ConvolutionShape& shape, const float* weight) {
  const int taps = shape.kernel * shape.kernel;
  return {weight, shape.in, shape.out, taps, taps, taps * shape.in, 1};
}

int64_t PackedWeights(const ConvolutionShape& shape, ConvolutionMethod method) {
  if (method == ConvolutionMethod::kDirect) {
    return PackedSize(shape.kernel * shape.kernel * shape.in, shape.out);
  }
  const int64_t e = TileOf(method) + 2;
  return e * e * PackedSize(shape.in, shape.out);
}

std::vector<ConvolutionMethod> ChooseMethods(
    absl::Span<const ConvolutionShape> shapes, int64_t max_weights) {
  using Method = ConvolutionMethod;
  std::vector<Method> methods(shapes.size(), Method::kDirect);
  std::vector<Change> changes;
  int64_t weights = 0;
  for (size_t layer = 0; layer < shapes.size(); ++layer) {
    const ConvolutionShape& shape = shapes[layer];
    weights += PackedWeights(shape, Method::kDirect);
    Method from = Method::kDirect;
    for (const Method to : {Method::kWinograd2x2, Method::kWinograd4x4}) {
      if (!Suits(shape, to)) continue;
      const int64_t added =
          PackedWeights(shape, to) - PackedWeights(shape, from);
      const int64_t saved =
          MultiplicationsOf(shape, from) - MultiplicationsOf(shape, to);
      changes.push_back(
          {layer, from, to, added,
           static_cast<double>(saved) / static_cast<double>(added)});
      from = to;
    }
  }
  std::stable_sort(
      changes.begin(), changes.end(),
      [](const Change& a, const Change& b) { return a.worth > b.worth; });
  for (const Change& change : changes) {
    Method& method = methods[change.layer];
    if (method != change.from || weights + change.weights > max_weights) {
      continue;
    }
    method = change.to;
    weights += change.weights;
  }
  return methods;
}

}  // namespace ddgan::kernels

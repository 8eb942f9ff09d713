#include <algorithm>
#include <vector>

#include "engine/kernels/convolution.h"
#include "engine/kernels/matrix_product.h"

namespace ddgan::kernels {
namespace {

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

int TileOf(ConvolutionMethod method) {
  return method == ConvolutionMethod::kWinograd2x2 ? 2 : 4;
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

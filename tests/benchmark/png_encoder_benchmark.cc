// What does PNG cost per image against writing the pixels raw, by compression
// level, and what the text about the image's origin? A lane of one core makes a
// 32x32 MNIST image in some 10 ms.
// Run: build/release/tests/benchmark/png_encoder_benchmark
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/imaging/png_encoder.h"

namespace ddgan {
namespace {

// Smooth shapes with some noise, as photographs have.
std::vector<uint8_t> Picture(const ImageShape& shape) {
  std::vector<uint8_t> pixels;
  uint32_t state = 1;
  for (int y = 0; y < shape.height; ++y) {
    for (int x = 0; x < shape.width; ++x) {
      for (int c = 0; c < shape.channels; ++c) {
        state = state * 1664525u + 1013904223u;
        pixels.push_back(static_cast<uint8_t>(
            127 + 100 * std::sin(x * 0.1 + c) * std::cos(y * 0.07) +
            static_cast<double>(state >> 28)));
      }
    }
  }
  return pixels;
}

void BM_EncodePng(benchmark::State& state) {
  const ImageShape shape = {3, static_cast<int>(state.range(0)),
                            static_cast<int>(state.range(0))};
  const std::vector<uint8_t> pixels = Picture(shape);
  PngOptions options;
  options.compression_level = static_cast<int>(state.range(1));
  for (int64_t i = 0; i < state.range(2); ++i) {
    options.text.push_back({"ddgan:some-key", std::string(20, 'x')});
  }
  size_t bytes = 0;
  for (auto _ : state) {
    const absl::StatusOr<std::string> png = EncodePng(pixels, shape, options);
    if (!png.ok()) state.SkipWithError("not encoded");
    bytes = png->size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
  state.counters["of_raw_size"] =
      static_cast<double>(bytes) / static_cast<double>(pixels.size());
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(pixels.size()));
}
BENCHMARK(BM_EncodePng)
    ->ArgNames({"side", "level", "texts"})
    ->ArgsProduct({{32, 256}, {1, 6, 9}, {0, 7}});

}  // namespace
}  // namespace ddgan

BENCHMARK_MAIN();

// The one way in which pictures change their size here. No LibTorch.
#ifndef DDGAN_ENGINE_IMAGING_TRIANGLE_RESIZE_H_
#define DDGAN_ENGINE_IMAGING_TRIANGLE_RESIZE_H_

#include <cstddef>
#include <vector>

#include "absl/functional/function_ref.h"

namespace ddgan {

// One side of a picture: `from` pixels become `to`, of which only
// [first, first + count) are made. All but `first` are at least 1, and
// first + count <= to.
struct ResizedSide {
  int from;
  int to;
  int first;
  int count;
};

// Interleaved rows (y.count, x.count, channels), channels 1 or 3.
//
// First each row, then the columns go through a triangle filter that is widened
// by the scale when shrinking, so that every pixel has its share. Of n pixels
// to m, result i weights pixel j by max(0, 2 max(n, m) - |(2j+1)m - (2i+1)n|),
// divided by the sum of these whole numbers: pixel centres are at + 0.5, and
// beyond the edge is nothing. A side that keeps its size is left as it is. This
// is PIL's Image.resize with BILINEAR on a picture of floats.
//
// `read_row` is called with ascending y, once for each row that is needed,
// and replaces `row` by the x.from * channels values of row y.
//
// Every operation rounds to float32 and sums run by ascending j, so equal input
// gives equal bits. Rounded weights may take a value past the largest of the
// picture by a rounding. Holds x.count values of each row read. Thread-safe.
std::vector<float> TriangleResize(
    const ResizedSide& y, const ResizedSide& x, int channels,
    absl::FunctionRef<void(int y, std::vector<float>* row)> read_row);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_IMAGING_TRIANGLE_RESIZE_H_

// Which recorded batch shapes a batch runs as. No LibTorch.
#ifndef DDGAN_ENGINE_LANES_GPU_STEP_SHAPES_H_
#define DDGAN_ENGINE_LANES_GPU_STEP_SHAPES_H_

#include <vector>

#include "absl/types/span.h"

namespace ddgan {

// A step that computes exactly `rows` rows, in `cost` of any unit.
struct StepShape {
  int rows = 0;     // > 0
  double cost = 0;  // >= 0
};

// The shapes worth recording for batches of up to `max_rows`: 1, 4, 16, ... up
// to it, and `pinned`, in ascending order. Both > 0.
std::vector<int> ShapesToRecord(int max_rows, int pinned);

// For every n in [0, max_rows] the position in `shapes` of the shape that n
// rows run first as, so that with those that follow for the rest they cost
// least; of equals those of the fewest rows, then the largest first. Only the
// last of a batch's shapes is larger than what is left. Entry 0 means nothing.
// `shapes` is not empty.
std::vector<int> CheapestFirstShapes(absl::Span<const StepShape> shapes,
                                     int max_rows);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_STEP_SHAPES_H_

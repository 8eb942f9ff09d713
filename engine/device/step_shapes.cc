#include "engine/device/step_shapes.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace ddgan {

std::vector<int> ShapesToRecord(int max_rows, int pinned) {
  std::vector<int> shapes = {pinned};
  for (int rows = 1; rows <= max_rows; rows *= 4) shapes.push_back(rows);
  std::sort(shapes.begin(), shapes.end());
  shapes.erase(std::unique(shapes.begin(), shapes.end()), shapes.end());
  return shapes;
}

std::vector<int> CheapestFirstShapes(absl::Span<const StepShape> shapes,
                                     int max_rows) {
  const size_t entries = static_cast<size_t>(max_rows) + 1;
  std::vector<int> first(entries, 0);
  std::vector<double> cost(entries, 0);
  for (size_t n = 1; n < entries; ++n) {
    cost[n] = std::numeric_limits<double>::infinity();
    for (size_t s = 0; s < shapes.size(); ++s) {
      const size_t rows = static_cast<size_t>(shapes[s].rows);
      const double with = shapes[s].cost + cost[n > rows ? n - rows : 0];
      if (with < cost[n] ||
          (with == cost[n] && shapes[s].rows > shapes[first[n]].rows)) {
        cost[n] = with;
        first[n] = static_cast<int>(s);
      }
    }
  }
  return first;
}

}  // namespace ddgan

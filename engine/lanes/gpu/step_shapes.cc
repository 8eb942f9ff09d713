#include "engine/lanes/gpu/step_shapes.h"

#include <algorithm>
#include <cstddef>
#include <tuple>

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
  // Cost, rows with the padding, and minus the first shape's rows.
  std::vector<std::tuple<double, int, int>> best(entries);
  for (size_t n = 1; n < entries; ++n) {
    for (size_t s = 0; s < shapes.size(); ++s) {
      const size_t rows = static_cast<size_t>(shapes[s].rows);
      const auto& [cost_left, rows_left, unused] =
          best[n > rows ? n - rows : 0];
      const std::tuple<double, int, int> with = {shapes[s].cost + cost_left,
                                                 shapes[s].rows + rows_left,
                                                 -shapes[s].rows};
      if (s > 0 && best[n] <= with) continue;
      best[n] = with;
      first[n] = static_cast<int>(s);
    }
  }
  return first;
}

}  // namespace ddgan

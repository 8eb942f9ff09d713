#include "engine/scheduling/outcome_check.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ddgan {

absl::Status CheckOutcome(absl::Span<Trajectory* const> rows,
                          StepOutcome& outcome) {
  std::vector<size_t>& not_finite = outcome.not_finite;
  std::sort(not_finite.begin(), not_finite.end());
  if (std::adjacent_find(not_finite.begin(), not_finite.end()) !=
          not_finite.end() ||
      (!not_finite.empty() && not_finite.back() >= rows.size())) {
    return absl::InternalError(
        "the runner named a row that is not finite twice, or one that is not "
        "there");
  }
  std::vector<FinishedImage>& finished = outcome.finished;
  std::sort(finished.begin(), finished.end(),
            [](const FinishedImage& a, const FinishedImage& b) {
              return a.row < b.row;
            });
  size_t expected = 0;
  bool match = true;
  for (size_t row = 0; row < rows.size(); ++row) {
    if (rows[row]->step != 0 ||
        std::binary_search(not_finite.begin(), not_finite.end(), row)) {
      continue;
    }
    match =
        match && expected < finished.size() && finished[expected].row == row;
    ++expected;
  }
  if (!match || expected != finished.size()) {
    return absl::InternalError(
        absl::StrCat("the runner returned ", finished.size(), " images where ",
                     expected, " rows were at their last step"));
  }
  for (const FinishedImage& preview : outcome.previews) {
    if (preview.row < rows.size() && rows[preview.row]->step > 0) continue;
    return absl::InternalError(
        absl::StrCat("the runner returned a preview of row ", preview.row,
                     ", which has none"));
  }
  return absl::OkStatus();
}

}  // namespace ddgan

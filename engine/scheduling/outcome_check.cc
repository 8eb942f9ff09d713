#include "engine/scheduling/outcome_check.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ddgan {

absl::Status CheckOutcome(absl::Span<Trajectory* const> rows,
                          StepOutcome& outcome) {
  const std::vector<size_t>& not_finite = outcome.not_finite;
  const bool ascending =
      std::adjacent_find(not_finite.begin(), not_finite.end(),
                         std::greater_equal<>()) == not_finite.end();
  if (!ascending || (!not_finite.empty() && not_finite.back() >= rows.size())) {
    return absl::InternalError(
        "the runner named rows that are not finite out of order, or one that "
        "is not there");
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

#include "trainer/evaluation/metrics/feature_rows.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace ddgan {

int64_t BlockRows(int64_t features) {
  constexpr int64_t kBlockBytes = int64_t{128} << 20;
  return std::clamp<int64_t>(
      kBlockBytes / (static_cast<int64_t>(sizeof(double)) * features), 1, 1024);
}

absl::Status CheckRowCount(absl::string_view whose, const FeatureRows& rows,
                           int64_t least) {
  if (rows.rows < least) {
    return absl::InvalidArgumentError(absl::StrCat(
        whose, " have ", rows.rows, " rows, must have at least ", least));
  }
  if (rows.features < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        whose, " are rows of ", rows.features, ", must be at least 1"));
  }
  return absl::OkStatus();
}

absl::Status CheckFeatures(absl::string_view whose, const FeatureRows& rows,
                           int64_t least) {
  const absl::Status status = CheckRowCount(whose, rows, least);
  if (!status.ok()) return status;
  const float* const end = rows.values + rows.rows * rows.features;
  const float* const bad = std::find_if(rows.values, end, [](float value) {
    return !(std::abs(value) <= kLargestFeature);  // NaN, too.
  });
  if (bad == end) return absl::OkStatus();
  const int64_t place = bad - rows.values;
  return absl::InvalidArgumentError(
      absl::StrCat("row ", place / rows.features, " of ", whose, " has ", *bad,
                   " at ", place % rows.features, ", must be in [",
                   -kLargestFeature, ", ", kLargestFeature, "]"));
}

absl::Status CheckFeatures(const FeatureRows& real,
                           const FeatureRows& generated, int64_t least) {
  if (real.features != generated.features) {
    return absl::InvalidArgumentError(
        absl::StrCat("the real features are rows of ", real.features,
                     ", the generated features of ", generated.features,
                     ", must be as many"));
  }
  const absl::Status status = CheckFeatures("the real features", real, least);
  if (!status.ok()) return status;
  return CheckFeatures("the generated features", generated, least);
}

}  // namespace ddgan

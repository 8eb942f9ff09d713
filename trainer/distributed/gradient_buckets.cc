#include "trainer/distributed/gradient_buckets.h"

#include <numeric>

namespace ddgan {

std::vector<GradientBucket> PlanGradientBuckets(
    absl::Span<const int64_t> parameter_sizes, int64_t first_elements,
    int64_t elements) {
  std::vector<GradientBucket> buckets;
  int64_t offset = std::accumulate(parameter_sizes.begin(),
                                   parameter_sizes.end(), int64_t{0});
  for (int64_t parameter = static_cast<int64_t>(parameter_sizes.size()) - 1;
       parameter >= 0; --parameter) {
    const int64_t size = parameter_sizes[parameter];
    offset -= size;
    const int64_t limit = buckets.size() == 1 ? first_elements : elements;
    if (buckets.empty() || buckets.back().size + size > limit) {
      buckets.push_back({parameter, parameter + 1, offset, size});
      continue;
    }
    GradientBucket& bucket = buckets.back();
    bucket.first_parameter = parameter;
    bucket.offset = offset;
    bucket.size += size;
  }
  return buckets;
}

}  // namespace ddgan

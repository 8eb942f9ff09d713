#include "client/load_generator/standalone_latency.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <set>
#include <vector>

#include "absl/status/status.h"

namespace ddgan {
absl::StatusOr<std::map<uint32_t, absl::Duration>> MeasureStandaloneLatency(
    const ImageClient& client, const LoadOptions& options,
    const std::function<void(uint32_t images)>& on_call) {
  std::map<uint32_t, absl::Duration> medians;
  if (options.standalone_calls == 0) return medians;
  v1::GenerateRequest request = options.request;
  request.set_seed(options.seed);
  bool connected = false;
  for (const uint32_t count : DifferentCounts(options.mix)) {
    request.set_count(count);
    std::vector<absl::Duration> latencies;
    while (latencies.size() < options.standalone_calls) {
      const auto start = std::chrono::steady_clock::now();
      if (absl::Status status = client.Generate(request).status();
          !status.ok()) {
        return status;
      }
      const auto end = std::chrono::steady_clock::now();
      if (connected) latencies.push_back(absl::FromChrono(end - start));
      connected = true;
      request.set_seed(request.seed() + 1);
      on_call(count);
    }
    const auto middle =
        latencies.begin() + static_cast<std::ptrdiff_t>(latencies.size() / 2);
    std::nth_element(latencies.begin(), middle, latencies.end());
    medians[count] = *middle;
  }
  return medians;
}

uint32_t StandaloneImages(const LoadOptions& options) {
  if (options.standalone_calls == 0) return 0;
  const std::set<uint32_t> counts = DifferentCounts(options.mix);
  uint32_t images = *counts.begin();  // The call that connects.
  for (const uint32_t count : counts) {
    images += count * options.standalone_calls;
  }
  return images;
}

}  // namespace ddgan

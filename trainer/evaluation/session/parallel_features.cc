#include "trainer/evaluation/session/parallel_features.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "trainer/evaluation/pictures/picture_source.h"

namespace ddgan {
namespace {

// Of one call to the network: small, so that threads end together.
constexpr size_t kChunk = 8;

}  // namespace

absl::StatusOr<PictureFeatures> ParallelFeatures::Run(
    absl::Span<const uint8_t> pixels, const ImageShape& shape) const {
  at::set_num_threads(1);
  const size_t bytes = PictureBytes(shape);
  const size_t pictures = pixels.size() / bytes;
  const size_t chunks = (pictures + kChunk - 1) / kChunk;
  std::vector<absl::StatusOr<PictureFeatures>> parts(
      chunks, absl::InternalError("not computed"));
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    at::init_num_threads();
    for (size_t i = next++; i < chunks; i = next++) {
      const size_t first = i * kChunk;
      parts[i] = network_.Run(
          pixels.subspan(first * bytes,
                         std::min(kChunk, pictures - first) * bytes),
          shape);
    }
  };
  std::vector<std::thread> threads;
  const size_t count = std::min(static_cast<size_t>(threads_), chunks);
  try {
    for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads are to be had: these, and this one, do all.
  }
  work();
  for (std::thread& thread : threads) thread.join();

  PictureFeatures all;
  for (const absl::StatusOr<PictureFeatures>& part : parts) {
    if (!part.ok()) return part.status();
    all.features.insert(all.features.end(), part->features.begin(),
                        part->features.end());
    all.probabilities.insert(all.probabilities.end(),
                             part->probabilities.begin(),
                             part->probabilities.end());
  }
  return all;
}

void UseLibTorchThreads(int threads) { at::set_num_threads(threads); }

}  // namespace ddgan

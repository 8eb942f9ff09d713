// A feature network on several processors. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_SESSION_PARALLEL_FEATURES_H_
#define DDGAN_TRAINER_EVALUATION_SESSION_PARALLEL_FEATURES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "trainer/evaluation/features/feature_network.h"

namespace ddgan {

// Pictures side by side on threads, each of which runs LibTorch on itself
// alone: a picture's features do not depend on their number. Thread-compatible.
class ParallelFeatures {
 public:
  // `network` outlives this. threads >= 1
  ParallelFeatures(const FeatureNetwork& network, int threads)
      : network_(network), threads_(threads) {}

  // Sets LibTorch to one thread in this process. Fails as FeatureNetwork::Run.
  absl::StatusOr<PictureFeatures> Run(absl::Span<const uint8_t> pixels,
                                      const ImageShape& shape) const;

 private:
  const FeatureNetwork& network_;
  const int threads_;
};

// What computes on all of LibTorch's threads, such as distances, gets `threads`
// of them from here on. Not while a sampler is at work, whose pictures need
// one.
void UseLibTorchThreads(int threads);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_SESSION_PARALLEL_FEATURES_H_

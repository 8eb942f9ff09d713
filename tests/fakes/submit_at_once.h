// A request from its reservation to its submission in one call, for tests that
// are about neither.
#ifndef DDGAN_TESTS_FAKES_SUBMIT_AT_ONCE_H_
#define DDGAN_TESTS_FAKES_SUBMIT_AT_ONCE_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/engine.h"
#include "engine/scheduling/batch_scheduler.h"

namespace ddgan {

// The first error of Resolve, Reserve and Submit. A guide that says no shape
// has that of its picture.
inline absl::StatusOr<Acceptance> SubmitAtOnce(
    Engine& engine, GenerationRequest request,
    std::shared_ptr<GenerationSink> sink,
    std::shared_ptr<const Picture> guide = nullptr) {
  const absl::StatusOr<ResolvedModel> model =
      engine.Resolve(request.model, request.version);
  if (!model.ok()) return model.status();
  if (guide != nullptr && request.guide->picture == ImageShape()) {
    request.guide->picture = guide->shape;
  }
  absl::StatusOr<std::unique_ptr<Reservation>> place =
      engine.Reserve(*model, request);
  if (!place.ok()) return place.status();
  return engine.Submit(*std::move(place), std::move(guide), std::move(sink));
}

// `guide` has the planes of the request's guide if it has one.
inline absl::StatusOr<Acceptance> SubmitAtOnce(
    BatchScheduler& scheduler, std::shared_ptr<const ServableVersion> version,
    const GenerationRequest& request, std::shared_ptr<GenerationSink> sink,
    std::shared_ptr<const std::vector<float>> guide = nullptr) {
  absl::StatusOr<std::unique_ptr<BatchScheduler::Place>> place =
      scheduler.Reserve(std::move(version), request);
  if (!place.ok()) return place.status();
  return scheduler.Submit(*std::move(place), std::move(guide), std::move(sink));
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_SUBMIT_AT_ONCE_H_

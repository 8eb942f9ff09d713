// The model versions that have work, and whose turn it is.
#ifndef DDGAN_ENGINE_SCHEDULING_VERSION_TURNS_H_
#define DDGAN_ENGINE_SCHEDULING_VERSION_TURNS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "engine/requests/servable_version.h"

namespace ddgan {

// Versions by numbers that are few and small, for DecideBatch. A number is
// reused once its version has no requests. Thread-compatible.
class VersionTurns {
 public:
  // Counts a request for `version` in. Returns the version's number.
  size_t Enter(const std::shared_ptr<const ServableVersion>& version);
  // A request for the version has ended; with the last one, the version is let
  // go.
  void Leave(size_t number);

  // The version's model was given a batch.
  void TakeTurn(size_t number);

  // By number: when the version's model was last given a batch, counted in
  // batches; of a model that had none, when it first got work.
  absl::Span<const uint64_t> last_turns() const { return last_turns_; }
  // By number; null where there is none.
  absl::Span<const std::shared_ptr<const ServableVersion>> versions() const {
    return versions_;
  }

 private:
  bool IsSameModel(size_t a, size_t b) const;

  std::vector<std::shared_ptr<const ServableVersion>> versions_;
  // Beside versions_, at the same index.
  std::vector<size_t> requests_;
  std::vector<uint64_t> last_turns_;
  uint64_t turn_ = 0;  // Batches handed out.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_VERSION_TURNS_H_

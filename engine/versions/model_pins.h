// The operator's orders: which version of a model is to be live.
#ifndef DDGAN_ENGINE_VERSIONS_MODEL_PINS_H_
#define DDGAN_ENGINE_VERSIONS_MODEL_PINS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "engine/versions/model_registry.h"

namespace ddgan {

// An order is made durable, then put in force in the registry; orders take
// turns. Thread-safe.
class ModelPins {
 public:
  // Pins are kept in `state_dir`; empty: nowhere. `registry` must outlive this.
  ModelPins(std::string state_dir, ModelRegistry* registry)
      : state_dir_(std::move(state_dir)), registry_(registry) {}

  // Takes up the pins of an earlier process. Call before anything is loaded.
  // Errors as ReadPins.
  absl::Status Restore() ABSL_LOCKS_EXCLUDED(mu_);

  // As Engine.
  absl::Status Pin(const std::string& model, int64_t version)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Unpin(const std::string& model) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<int64_t> RollBack(const std::string& model)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Status PinLocked(const std::string& model, int64_t version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status UnpinLocked(const std::string& model)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes `pin` durable, then puts it in force.
  absl::Status Set(const std::string& model, std::optional<int64_t> pin)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::string state_dir_;
  ModelRegistry* const registry_;

  // Held from an order's checks until it is in force, over the disk but not
  // over reports.
  absl::Mutex mu_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_MODEL_PINS_H_

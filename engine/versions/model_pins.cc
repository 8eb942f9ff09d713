#include "engine/versions/model_pins.h"

#include "absl/strings/str_cat.h"
#include "engine/versions/pin_store.h"

namespace ddgan {

absl::Status ModelPins::Restore() {
  if (state_dir_.empty()) return absl::OkStatus();
  const absl::StatusOr<Pins> pins = ReadPins(state_dir_);
  if (!pins.ok()) return pins.status();
  for (const auto& [model, version] : *pins) {
    registry_->SetPin(model, version);
  }
  registry_->Report();
  return absl::OkStatus();
}

absl::Status ModelPins::Pin(const std::string& model, int64_t version) {
  absl::Status status;
  {
    absl::MutexLock lock(&mu_);
    status = PinLocked(model, version);
  }
  registry_->Report();
  return status;
}

absl::Status ModelPins::Unpin(const std::string& model) {
  absl::Status status;
  {
    absl::MutexLock lock(&mu_);
    status = UnpinLocked(model);
  }
  registry_->Report();
  return status;
}

absl::StatusOr<int64_t> ModelPins::RollBack(const std::string& model) {
  absl::StatusOr<int64_t> target;
  {
    absl::MutexLock lock(&mu_);
    target = registry_->RollBackTarget(model);
    if (target.ok()) {
      if (auto status = Set(model, *target); !status.ok()) target = status;
    }
  }
  registry_->Report();
  return target;
}

absl::Status ModelPins::PinLocked(const std::string& model, int64_t version) {
  const absl::Status pinnable = registry_->CheckPinnable(model, version);
  return pinnable.ok() ? Set(model, version) : pinnable;
}

absl::Status ModelPins::UnpinLocked(const std::string& model) {
  if (!registry_->Knows(model)) {
    return absl::NotFoundError(
        absl::StrCat("there is no model \"", model, "\""));
  }
  // The file may have a pin that is not in force: of a write that failed late.
  if (state_dir_.empty() && !registry_->pins().contains(model))
    return absl::OkStatus();
  return Set(model, std::nullopt);
}

absl::Status ModelPins::Set(const std::string& model,
                            std::optional<int64_t> pin) {
  if (!state_dir_.empty()) {
    Pins pins = registry_->pins();
    pins.erase(model);
    if (pin) pins[model] = *pin;
    if (auto status = WritePins(state_dir_, pins); !status.ok()) return status;
  }
  registry_->SetPin(model, pin);
  return absl::OkStatus();
}

}  // namespace ddgan

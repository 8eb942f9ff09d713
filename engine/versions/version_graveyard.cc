#include "engine/versions/version_graveyard.h"

#include <utility>

namespace ddgan {

std::shared_ptr<const ServableVersion> VersionGraveyard::Share(
    ServableVersion version) {
  return {new ServableVersion(std::move(version)),
          [self = shared_from_this()](const ServableVersion* last) {
            self->Bury(last);
          }};
}

void VersionGraveyard::SetListener(std::function<void()> arrived) {
  absl::MutexLock lock(&mu_);
  arrived_ = std::move(arrived);
}

std::vector<std::unique_ptr<const ServableVersion>> VersionGraveyard::Take() {
  absl::MutexLock lock(&mu_);
  return std::exchange(versions_, {});
}

void VersionGraveyard::Bury(const ServableVersion* version) {
  absl::MutexLock lock(&mu_);
  versions_.emplace_back(version);
  if (arrived_ != nullptr) arrived_();
}

}  // namespace ddgan

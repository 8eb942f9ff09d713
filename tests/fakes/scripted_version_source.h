// Model versions without files or weights.
#ifndef DDGAN_TESTS_FAKES_SCRIPTED_VERSION_SOURCE_H_
#define DDGAN_TESTS_FAKES_SCRIPTED_VERSION_SOURCE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/checkpoint/version_source.h"
#include "engine/servable_version.h"

namespace ddgan {

// A version of an 8x8 gray model whose weights are only an address, different
// for each call.
inline ServableVersion MakeServableVersion(const std::string& model,
                                           int64_t version,
                                           int num_timesteps = 4) {
  ServableVersion servable;
  servable.identity = {model, version, absl::StrCat("digest-", version)};
  servable.shape = {1, 8, 8};
  servable.num_timesteps = num_timesteps;
  servable.training_step = 100 * version;
  servable.dataset = "scripted";
  const auto weights = std::make_shared<char>();
  servable.model = std::shared_ptr<const Model>(
      weights, reinterpret_cast<const Model*>(weights.get()));
  return servable;
}

inline std::shared_ptr<const ServableVersion> SharedServableVersion(
    const std::string& model, int64_t version, int num_timesteps = 4) {
  return std::make_shared<const ServableVersion>(
      MakeServableVersion(model, version, num_timesteps));
}

// Thread-compatible: a test scripts it before it hands it over.
class ScriptedVersionSource : public VersionSource {
 public:
  void Add(ServableVersion version) {
    const ModelIdentity identity = version.identity;
    models_[identity.model].insert_or_assign(identity.version,
                                             std::move(version));
  }
  void AddBroken(const std::string& model, int64_t version,
                 absl::Status reason) {
    models_[model].insert_or_assign(version, std::move(reason));
  }
  // A model whose versions are none, or cannot be listed.
  void AddEmpty(const std::string& model,
                absl::Status listing = absl::OkStatus()) {
    models_[model];
    listings_[model] = std::move(listing);
  }
  void RemoveRoot() { root_ = absl::NotFoundError("no such folder"); }

  // How often Load was called.
  int loads() const { return loads_; }

  absl::StatusOr<std::vector<std::string>> ListModelNames() override {
    if (!root_.ok()) return root_;
    std::vector<std::string> names;
    for (const auto& [name, versions] : models_) names.push_back(name);
    return names;
  }

  absl::StatusOr<std::vector<int64_t>> ListVersions(
      const std::string& model) override {
    if (!listings_[model].ok()) return listings_[model];
    std::vector<int64_t> versions;
    for (const auto& [version, servable] : models_[model]) {
      versions.insert(versions.begin(), version);
    }
    return versions;
  }

  absl::StatusOr<ServableVersion> Load(const std::string& model,
                                       int64_t version) override {
    ++loads_;
    return models_[model].at(version);
  }

 private:
  absl::Status root_;
  std::map<std::string, std::map<int64_t, absl::StatusOr<ServableVersion>>>
      models_;
  std::map<std::string, absl::Status> listings_;
  int loads_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_SCRIPTED_VERSION_SOURCE_H_

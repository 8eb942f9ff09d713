// Model versions without files or weights.
#ifndef DDGAN_TESTS_FAKES_SCRIPTED_VERSION_SOURCE_H_
#define DDGAN_TESTS_FAKES_SCRIPTED_VERSION_SOURCE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "engine/requests/servable_version.h"
#include "engine/versions/version_source.h"

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
  servable.evaluations = num_timesteps;
  servable.training_step = 100 * version;
  servable.dataset = "scripted";
  servable.bytes = 1000;
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

// Thread-safe: a test may change what is on disk while an engine looks.
class ScriptedVersionSource : public VersionSource {
 public:
  // Takes the place of one of the same number, under another fingerprint. Its
  // weights on disk have half the bytes that it takes in memory.
  void Add(ServableVersion version) ABSL_LOCKS_EXCLUDED(mu_) {
    const auto weights_bytes = static_cast<uint64_t>(version.bytes) / 2;
    Add(std::move(version), weights_bytes);
  }
  void Add(ServableVersion version, uint64_t weights_bytes)
      ABSL_LOCKS_EXCLUDED(mu_) {
    const ModelIdentity identity = version.identity;
    Put(identity.model, identity.version, std::move(version), weights_bytes);
  }
  void AddBroken(const std::string& model, int64_t version, absl::Status reason)
      ABSL_LOCKS_EXCLUDED(mu_) {
    Put(model, version, std::move(reason), 0);
  }
  void Remove(const std::string& model, int64_t version)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    models_[model].erase(version);
  }
  // A model whose versions are none, or cannot be listed.
  void AddEmpty(const std::string& model,
                absl::Status listing = absl::OkStatus())
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    models_[model];
    listings_[model] = std::move(listing);
  }
  void RemoveRoot() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    root_ = absl::NotFoundError("no such folder");
  }
  // Runs within each Load, without a lock.
  void OnLoad(std::function<void(int64_t version)> during)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    during_load_ = std::move(during);
  }

  // Versions that Load was called for, in order.
  std::vector<int64_t> loads() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return loads_;
  }

  absl::StatusOr<std::vector<std::string>> ListModelNames() override
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!root_.ok()) return root_;
    std::vector<std::string> names;
    for (const auto& [name, versions] : models_) names.push_back(name);
    return names;
  }

  absl::StatusOr<std::vector<VersionOnDisk>> ListVersions(
      const std::string& model) override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!listings_[model].ok()) return listings_[model];
    std::vector<VersionOnDisk> versions;
    for (const auto& [version, entry] : models_[model]) {
      versions.insert(versions.begin(), {version, entry.files});
    }
    return versions;
  }

  VersionFiles Examine(const std::string& model, int64_t version) override
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const auto found = models_[model].find(version);
    return found == models_[model].end() ? VersionFiles() : found->second.files;
  }

  std::vector<std::filesystem::path> FoldersToWatch() override { return {}; }

  absl::StatusOr<ServableVersion> Load(const std::string& model,
                                       int64_t version,
                                       StopCheck stopped) override
      ABSL_LOCKS_EXCLUDED(mu_) {
    std::function<void(int64_t)> during;
    {
      absl::MutexLock lock(&mu_);
      loads_.push_back(version);
      during = during_load_;
    }
    if (during != nullptr) during(version);
    if (auto status = CheckStop(stopped); !status.ok()) return status;
    absl::MutexLock lock(&mu_);
    const auto found = models_[model].find(version);
    if (found == models_[model].end()) {
      return absl::NotFoundError("no such folder");
    }
    return found->second.result;
  }

 private:
  struct Entry {
    absl::StatusOr<ServableVersion> result;
    VersionFiles files;
  };

  void Put(const std::string& model, int64_t version,
           absl::StatusOr<ServableVersion> result, uint64_t weights_bytes)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    models_[model].insert_or_assign(
        version, Entry{std::move(result),
                       {absl::StrCat("files ", ++changes_), weights_bytes}});
  }

  mutable absl::Mutex mu_;
  absl::Status root_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::map<int64_t, Entry>> models_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, absl::Status> listings_ ABSL_GUARDED_BY(mu_);
  std::function<void(int64_t)> during_load_ ABSL_GUARDED_BY(mu_);
  std::vector<int64_t> loads_ ABSL_GUARDED_BY(mu_);
  int changes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_SCRIPTED_VERSION_SOURCE_H_

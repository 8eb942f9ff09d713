#include "engine/versions/version_source.h"

#include <system_error>
#include <utility>

#include "engine/checkpoint/stray_versions.h"

namespace ddgan {
namespace {

class DirectoryVersionSource : public VersionSource {
 public:
  DirectoryVersionSource(std::filesystem::path model_root, ModelLoader loader)
      : model_root_(std::move(model_root)), loader_(std::move(loader)) {}

  absl::StatusOr<std::vector<std::string>> ListModelNames() override {
    return ddgan::ListModelNames(model_root_);
  }

  absl::StatusOr<std::vector<VersionOnDisk>> ListVersions(
      const std::string& model) override {
    const absl::StatusOr<std::vector<int64_t>> numbers =
        ddgan::ListVersions(model_root_, model);
    if (!numbers.ok()) return numbers.status();
    std::vector<VersionOnDisk> versions;
    for (int64_t number : *numbers) {
      versions.push_back({number, Examine(model, number)});
    }
    return versions;
  }

  VersionFiles Examine(const std::string& model, int64_t version) override {
    return ExamineVersion(model_root_, model, version);
  }

  std::vector<std::filesystem::path> FoldersToWatch() override {
    // What a stranger put there is not counted on, so not even errors matter.
    // The root itself may be a link to a folder, which "." follows.
    std::vector<std::filesystem::path> folders = {model_root_ / "."};
    std::error_code error;
    for (std::filesystem::directory_iterator model(model_root_, error), end;
         !error && model != end; model.increment(error)) {
      if (!IsModelName(model->path().filename().string())) continue;
      folders.push_back(model->path());
      std::error_code version_error;
      for (std::filesystem::directory_iterator version(model->path(),
                                                       version_error);
           !version_error && version != end; version.increment(version_error)) {
        if (ParseVersionName(version->path().filename().string())) {
          folders.push_back(version->path());
        }
      }
    }
    return folders;
  }

  std::vector<std::string> DescribeStrays() override {
    return DescribeStrayVersions(model_root_);
  }

  absl::StatusOr<ServableVersion> Load(const std::string& model,
                                       int64_t version,
                                       StopCheck stopped) override {
    const absl::StatusOr<Checkpoint> checkpoint =
        ReadCheckpoint(model_root_, model, version, stopped);
    if (!checkpoint.ok()) return checkpoint.status();
    absl::StatusOr<LoadedModel> loaded = loader_(*checkpoint, stopped);
    if (!loaded.ok()) return loaded.status();

    const ModelConfig& config = checkpoint->config.model_config;
    ServableVersion servable;
    servable.identity = checkpoint->identity;
    servable.shape = {config.num_channels, config.image_size,
                      config.image_size};
    servable.num_timesteps = config.num_timesteps;
    servable.evaluations = EvaluationsPerImage(config);
    servable.training_step = checkpoint->config.training_step;
    servable.dataset = checkpoint->config.dataset;
    servable.model = std::move(loaded->model);
    servable.bytes = loaded->bytes;
    return servable;
  }

 private:
  const std::filesystem::path model_root_;
  const ModelLoader loader_;
};

}  // namespace

std::unique_ptr<VersionSource> NewDirectoryVersionSource(
    std::filesystem::path model_root, ModelLoader loader) {
  return std::make_unique<DirectoryVersionSource>(std::move(model_root),
                                                  std::move(loader));
}

}  // namespace ddgan

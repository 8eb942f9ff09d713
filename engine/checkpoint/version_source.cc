#include "engine/checkpoint/version_source.h"

#include <utility>

namespace ddgan {
namespace {

class DirectoryVersionSource : public VersionSource {
 public:
  DirectoryVersionSource(std::filesystem::path model_root, ModelLoader loader)
      : model_root_(std::move(model_root)), loader_(std::move(loader)) {}

  absl::StatusOr<std::vector<std::string>> ListModelNames() override {
    return ddgan::ListModelNames(model_root_);
  }

  absl::StatusOr<std::vector<int64_t>> ListVersions(
      const std::string& model) override {
    return ddgan::ListVersions(model_root_, model);
  }

  absl::StatusOr<ServableVersion> Load(const std::string& model,
                                       int64_t version) override {
    const absl::StatusOr<Checkpoint> checkpoint =
        ReadCheckpoint(model_root_, model, version);
    if (!checkpoint.ok()) return checkpoint.status();
    absl::StatusOr<std::shared_ptr<const Model>> weights = loader_(*checkpoint);
    if (!weights.ok()) return weights.status();

    const ModelConfig& config = checkpoint->config.model_config;
    ServableVersion servable;
    servable.identity = checkpoint->identity;
    servable.shape = {config.num_channels, config.image_size,
                      config.image_size};
    servable.num_timesteps = config.num_timesteps;
    servable.training_step = checkpoint->config.training_step;
    servable.dataset = checkpoint->config.dataset;
    servable.model = *std::move(weights);
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

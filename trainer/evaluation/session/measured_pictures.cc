#include "trainer/evaluation/session/measured_pictures.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "engine/base/sha256.h"
#include "trainer/dataset/cifar10_dataset.h"
#include "trainer/dataset/mnist_dataset.h"
#include "trainer/dataset/open_dataset.h"
#include "trainer/evaluation/model_pictures.h"
#include "trainer/evaluation/pictures/dataset_digest.h"
#include "trainer/evaluation/pictures/model_picture_source.h"
#include "trainer/evaluation/pictures/server_pictures.h"

namespace ddgan {
namespace {

absl::StatusOr<MeasuredPictures> OfVersion(const PictureOptions& options,
                                           int threads) {
  const absl::StatusOr<Checkpoint> checkpoint =
      ReadVersionFolder(options.model);
  if (!checkpoint.ok()) return checkpoint.status();
  ModelPictures::Options sampler;
  sampler.seed = options.seed;
  sampler.sampler = options.sampler;
  sampler.threads = ThreadCount(threads);
  absl::StatusOr<std::unique_ptr<ModelPictureSource>> source =
      ModelPictureSource::Create(*checkpoint, sampler);
  if (!source.ok()) return source.status();
  MeasuredVersion version;
  version.identity = checkpoint->identity;
  version.sampler = options.sampler.empty()
                        ? checkpoint->config.model_config.sampler
                        : options.sampler;
  version.evaluations = (*source)->evaluations();
  version.dataset = checkpoint->config.dataset;
  return MeasuredPictures{*std::move(source), std::move(version)};
}

// "MODEL" or "MODEL/VERSION".
absl::StatusOr<MeasuredPictures> OfServer(const PictureOptions& options) {
  ServerModel model;
  model.address = options.server;
  model.seed = options.seed;
  const std::vector<std::string> parts = absl::StrSplit(options.model, '/');
  model.model = parts[0];
  int64_t version = 0;
  if (parts.size() > 2 || parts[0].empty() ||
      (parts.size() == 2 &&
       (!absl::SimpleAtoi(parts[1], &version) || version < 1))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--model is '", options.model, "', must be MODEL or MODEL/VERSION of ",
        "the server at ", options.server));
  }
  if (version > 0) model.version = version;
  absl::StatusOr<std::unique_ptr<ServerPictures>> source =
      OpenServerPictures(model);
  if (!source.ok()) return source.status();
  MeasuredVersion measured;
  measured.identity = (*source)->identity();
  return MeasuredPictures{*std::move(source), std::move(measured)};
}

absl::StatusOr<std::unique_ptr<ImageDataset>> OpenSet(const std::string& kind,
                                                      const std::string& path,
                                                      const DataChoice& choice,
                                                      const ImageShape& shape) {
  DatasetSpec spec;
  spec.kind = kind;
  spec.path = path;
  spec.image_size = shape.height;
  spec.num_channels = shape.channels;
  spec.limit = choice.dataset_limit;
  spec.conversion = choice.convert;
  spec.seed = choice.data_seed;
  ImageFolderOptions options;
  if (!choice.classes.empty()) {
    options.classes = absl::StrSplit(choice.classes, ',');
  }
  return OpenDataset(spec, options);
}

template <typename Dataset>
absl::StatusOr<std::unique_ptr<DatasetPictures>> TestSplit(
    absl::StatusOr<std::unique_ptr<Dataset>> dataset, const std::string& kind,
    const std::string& digest) {
  if (!dataset.ok()) return dataset.status();
  return std::make_unique<DatasetPictures>(
      *std::move(dataset),
      absl::StrCat("test split of ", kind, " of digest ", digest));
}

}  // namespace

absl::StatusOr<MeasuredPictures> OpenMeasuredPictures(
    const PictureOptions& options, int threads) {
  if (!options.server.empty()) return OfServer(options);
  if (!options.model.empty()) return OfVersion(options, threads);
  absl::StatusOr<std::unique_ptr<PictureSource>> source =
      OpenPictureFolder(options.images);
  if (!source.ok()) return source.status();
  return MeasuredPictures{*std::move(source), std::nullopt};
}

absl::StatusOr<std::unique_ptr<DatasetPictures>> OpenRealPictures(
    const std::string& kind, const std::string& path, const DataChoice& choice,
    const ImageShape& shape) {
  absl::StatusOr<std::unique_ptr<ImageDataset>> dataset =
      OpenSet(kind, path, choice, shape);
  if (!dataset.ok()) return dataset.status();
  const absl::StatusOr<std::string> digest = DatasetDigest(path, kind);
  if (!digest.ok()) return digest.status();
  std::string description = absl::StrCat(kind, " of digest ", *digest);
  const std::string chosen = DataChoiceText(choice);
  if (!chosen.empty()) {
    // Its digest, since there may be thousands of classes.
    absl::StrAppend(&description, ", of which a part of digest ",
                    Sha256Hex(chosen));
  }
  return std::make_unique<DatasetPictures>(*std::move(dataset),
                                           std::move(description));
}

absl::StatusOr<std::unique_ptr<DatasetPictures>> OpenTestPictures(
    const std::string& kind, const std::string& path) {
  if (kind != "mnist" && kind != "cifar10") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--test_data is required for ", kind, ", which has no test split"));
  }
  const absl::StatusOr<std::string> digest = DatasetDigest(path, kind);
  if (!digest.ok()) return digest.status();
  if (kind == "mnist") {
    return TestSplit(MnistDataset::Load(path, MnistDataset::Split::kTest), kind,
                     *digest);
  }
  return TestSplit(Cifar10Dataset::Load(path, Cifar10Dataset::Split::kTest),
                   kind, *digest);
}

absl::StatusOr<std::vector<uint8_t>> RealPicture(const std::string& kind,
                                                 const std::string& path,
                                                 const DataChoice& choice,
                                                 const ImageShape& shape,
                                                 int64_t index) {
  const absl::StatusOr<std::unique_ptr<ImageDataset>> dataset =
      OpenSet(kind, path, choice, shape);
  if (!dataset.ok()) return dataset.status();
  if (static_cast<uint64_t>(index) >= (*dataset)->size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--picture is ", index, ", must be in [0, ",
                     (*dataset)->size() - 1, "]"));
  }
  std::vector<uint8_t> pixels(PictureBytes(shape));
  absl::Status status =
      (*dataset)->Image(static_cast<size_t>(index), absl::MakeSpan(pixels));
  if (!status.ok()) return status;
  return pixels;
}

}  // namespace ddgan

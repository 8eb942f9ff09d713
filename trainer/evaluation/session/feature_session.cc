#include "trainer/evaluation/session/feature_session.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "trainer/evaluation/session/digit_yardstick.h"
#include "trainer/evaluation/session/measured_pictures.h"
#include "trainer/evaluation/session/parallel_features.h"

namespace ddgan {
namespace {

constexpr int64_t kBatch = 64;

// Trains the classifier where its file is missing.
absl::Status MakeClassifier(const MeasureOptions& options,
                            EvaluationProgress* progress) {
  // What cannot be looked at is reported by those who read it.
  std::error_code error;
  if (std::filesystem::exists(options.classifier, error) || error) {
    return absl::OkStatus();
  }
  if (options.dataset != "mnist" && options.dataset != "stacked_mnist") {
    return absl::NotFoundError(absl::StrCat(
        "--classifier is '", options.classifier,
        "', which is not there; it is trained where --data is MNIST's"));
  }
  const absl::StatusOr<DigitSplits> digits = LoadDigitSplits(options.data);
  if (!digits.ok()) return digits.status();
  return ObtainClassifier(options.classifier, *digits, progress).status();
}

}  // namespace

absl::StatusOr<MeasureOptions> ResolveMeasure(MeasureOptions options,
                                              const std::string& dataset,
                                              const Environment& environment) {
  if (options.dataset.empty()) options.dataset = dataset;
  if (options.dataset.empty()) {
    return absl::InvalidArgumentError(
        "--dataset is required, as --dataset=mnist: what these pictures were "
        "learnt from is not known");
  }
  if (options.features.empty()) {
    options.features = DefaultFeatures(options.dataset);
  }
  if (options.cache.empty()) {
    absl::StatusOr<std::string> cache = DefaultCacheFolder(environment);
    if (!cache.ok()) return cache.status();
    options.cache = *std::move(cache);
  }
  if (options.classifier.empty() && options.features == "digits") {
    if (options.dataset != "mnist" && options.dataset != "stacked_mnist") {
      return absl::InvalidArgumentError(absl::StrCat(
          "--classifier is required for digits of ", options.dataset));
    }
    absl::StatusOr<std::string> file =
        DefaultClassifierFile(options.cache, options.data);
    if (!file.ok()) return file.status();
    options.classifier = *std::move(file);
  }
  return options;
}

absl::StatusOr<std::unique_ptr<FeatureSession>> FeatureSession::Create(
    const MeasureOptions& options, const ImageShape& shape,
    int64_t min_pictures, EvaluationProgress* progress) {
  absl::StatusOr<std::unique_ptr<DatasetPictures>> data =
      OpenRealPictures(options.dataset, options.data, options.choice, shape);
  if (!data.ok()) return data.status();
  int64_t rows = (*data)->size();
  if (options.data_samples > 0) rows = std::min(rows, options.data_samples);
  if (rows < min_pictures && rows < (*data)->size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--data_samples is ", rows, ", must be at least ", min_pictures));
  }
  if (rows < min_pictures) {
    const std::string chosen = DataChoiceText(options.choice);
    return absl::InvalidArgumentError(
        absl::StrCat("--data is of ", rows, " pictures",
                     chosen.empty() ? "" : absl::StrCat(" (", chosen, ")"),
                     ", must be of at least ", min_pictures));
  }
  if (absl::Status s = CheckWritable(options.cache); !s.ok()) return s;
  if (options.features == "digits") {
    if (absl::Status s = MakeClassifier(options, progress); !s.ok()) return s;
  }
  FeatureNetworkOptions network_options;
  network_options.name = options.features;
  network_options.digest = options.features_digest;
  network_options.digits_file = options.classifier;
  network_options.channels = shape.channels;
  absl::StatusOr<std::unique_ptr<FeatureNetwork>> network =
      OpenFeatureNetwork(network_options);
  if (!network.ok()) return network.status();
  return std::unique_ptr<FeatureSession>(new FeatureSession(
      options, *std::move(data), *std::move(network), rows, progress));
}

FeatureSession::FeatureSession(MeasureOptions options,
                               std::unique_ptr<DatasetPictures> data,
                               std::unique_ptr<FeatureNetwork> network,
                               int64_t data_rows, EvaluationProgress* progress)
    : options_(std::move(options)),
      data_(std::move(data)),
      network_(std::move(network)),
      data_rows_(data_rows),
      progress_(progress) {}

absl::StatusOr<std::unique_ptr<FeatureFile>> FeatureSession::Collect(
    PictureSource* source, PictureCoding through, int64_t rows,
    const std::string& name) {
  FeatureSource key;
  key.pictures =
      absl::StrCat(source->description(), ", through ", CodingName(through));
  key.shape = source->shape();
  key.network = network_->name();
  key.network_digest = network_->digest();
  key.feature_count = network_->feature_count();
  key.class_count = network_->class_count();
  const std::filesystem::path path =
      std::filesystem::path(options_.cache) / FeatureFileName(key);
  absl::StatusOr<std::unique_ptr<FeatureFile>> file =
      FeatureFile::Open(path, key);
  if (!file.ok()) return file;
  if ((*file)->rows() >= rows) {
    (*file)->Share();
    return file;
  }
  if ((*file)->rows() > 0) {
    progress_->Print(absl::StrCat("features of ", name, ": goes on after the ",
                                  (*file)->rows(), " that are in ",
                                  path.string()));
  }
  progress_->Begin(absl::StrCat("features of ", name), rows, (*file)->rows());
  ParallelFeatures parallel(*network_, ThreadCount(options_.threads));
  while ((*file)->rows() < rows) {
    const int64_t first = (*file)->rows();
    absl::StatusOr<std::vector<uint8_t>> pictures =
        source->Pictures(first, std::min(kBatch, rows - first));
    if (!pictures.ok()) return pictures.status();
    if (absl::Status s = CodePictures(through, source->shape(), &*pictures);
        !s.ok()) {
      return s;
    }
    const absl::StatusOr<PictureFeatures> features =
        parallel.Run(*pictures, source->shape());
    if (!features.ok()) return features.status();
    if (absl::Status s = (*file)->Append(*features); !s.ok()) return s;
    progress_->Update((*file)->rows());
  }
  progress_->End();
  (*file)->Share();
  return file;
}

std::string FrechetName(const FeatureNetwork& network) {
  if (network.is_inception()) return "FID";
  if (network.name() == "efficientnet-lite0") return "FD-EfficientNet-Lite0";
  return absl::StrCat("FD-",
                      std::filesystem::path(network.name()).stem().string());
}

}  // namespace ddgan

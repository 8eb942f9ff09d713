#include "trainer/dataset/open_dataset.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "trainer/dataset/cifar10_dataset.h"
#include "trainer/dataset/encoded/encoded_images.h"
#include "trainer/dataset/encoded/lmdb_images.h"
#include "trainer/dataset/mnist_dataset.h"
#include "trainer/dataset/stacked_mnist_dataset.h"

namespace ddgan {
namespace {

constexpr int kMaxImageSize = 1024;  // The largest model's.
// So many images are looked at for one that can be used: on a slow disk, all of
// a large set would take hours.
constexpr size_t kMaxProbes = 1000;

// The first images of another set.
class FirstImages : public ImageDataset {
 public:
  // size <= all->size()
  FirstImages(std::unique_ptr<const ImageDataset> all, size_t size)
      : all_(std::move(all)), size_(size) {}

  size_t size() const override { return size_; }
  const ImageShape& shape() const override { return all_->shape(); }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override {
    if (index >= size_) {
      return absl::OutOfRangeError(
          absl::StrCat("image ", index, " of the first ", size_));
    }
    return all_->Image(index, pixels);
  }
  std::string Remarks() const override { return all_->Remarks(); }

 private:
  const std::unique_ptr<const ImageDataset> all_;
  const size_t size_;
};

absl::Status ValidateClasses(const DatasetSpec& spec,
                             const std::vector<std::string>& classes) {
  if (classes.empty()) return absl::OkStatus();
  if (spec.kind != "image_folder") {
    return absl::InvalidArgumentError(
        absl::StrCat("classes are given and dataset = '", spec.kind,
                     "': only image_folder has classes"));
  }
  if (std::find(classes.begin(), classes.end(), "") != classes.end()) {
    return absl::InvalidArgumentError(
        "classes has an empty name, must be names of folders");
  }
  return absl::OkStatus();
}

absl::Status Validate(const DatasetSpec& spec) {
  if (spec.image_size < 1 || spec.image_size > kMaxImageSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_size = ", spec.image_size, ", allowed are 1 to ",
                     kMaxImageSize));
  }
  if (spec.num_channels != 1 && spec.num_channels != 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "num_channels = ", spec.num_channels, ", allowed are 1 and 3"));
  }
  if (spec.limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset_limit = ", spec.limit,
                     ", allowed are 0, which is no limit, and more"));
  }
  if (spec.conversion == Conversion::kToRgb && spec.num_channels != 3) {
    return absl::InvalidArgumentError(
        "convert = rgb, but num_channels = 1: the model's images are gray");
  }
  return absl::OkStatus();
}

template <typename Dataset>
absl::StatusOr<std::unique_ptr<ImageDataset>> AsImageDataset(
    absl::StatusOr<std::unique_ptr<Dataset>> dataset) {
  if (!dataset.ok()) return dataset.status();
  return std::unique_ptr<ImageDataset>(*std::move(dataset));
}

absl::StatusOr<std::unique_ptr<ImageDataset>> Decoded(
    absl::StatusOr<std::unique_ptr<EncodedImages>> images,
    const DatasetSpec& spec, EncodedDataset::RawValues raw_values) {
  if (!images.ok()) return images.status();
  return std::make_unique<EncodedDataset>(
      *std::move(images),
      ImageShape{spec.num_channels, spec.image_size, spec.image_size},
      raw_values, spec.conversion);
}

absl::StatusOr<std::unique_ptr<ImageDataset>> OpenKind(
    const DatasetSpec& spec, const ImageFolderOptions& options) {
  if (spec.kind == "mnist") {
    return AsImageDataset(MnistDataset::Load(spec.path));
  }
  if (spec.kind == "stacked_mnist") {
    return AsImageDataset(StackedMnistDataset::Load(spec.path, spec.seed));
  }
  if (spec.kind == "cifar10") {
    return AsImageDataset(Cifar10Dataset::Load(spec.path));
  }
  if (spec.kind == "image_folder") {
    return Decoded(OpenImageFolder(spec.path, options), spec,
                   EncodedDataset::RawValues::kDamaged);
  }
  if (spec.kind == "lmdb") {
    absl::StatusOr<std::unique_ptr<EncodedImages>> values = OpenLmdb(spec.path);
    if (values.ok() && options.print) {
      options.print(absl::StrCat(spec.path, ": ", (*values)->size(),
                                 " values in the database"));
    }
    return Decoded(std::move(values), spec,
                   EncodedDataset::RawValues::kAllowed);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dataset = '", spec.kind,
                   "', allowed are mnist, stacked_mnist, cifar10, image_folder "
                   "and lmdb"));
}

absl::Status CheckShape(const DatasetSpec& spec, const ImageShape& shape) {
  if (shape.channels == spec.num_channels && shape.height == spec.image_size &&
      shape.width == spec.image_size) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      spec.path, ": the images of ", spec.kind, " are ", shape.width, "x",
      shape.height, " with ", shape.channels, " channels; the model's are ",
      spec.image_size, "x", spec.image_size, " with ", spec.num_channels));
}

// That there is something to learn from, before anything else is set up.
absl::Status Probe(const DatasetSpec& spec, const ImageDataset& dataset) {
  std::vector<uint8_t> pixels(dataset.shape().numel());
  const size_t probes = std::min(dataset.size(), kMaxProbes);
  absl::Status first;
  bool all_sound = true;
  for (size_t i = 0; i < probes; ++i) {
    absl::Status status = dataset.Image(i, absl::MakeSpan(pixels));
    if (status.ok()) return status;
    if (!absl::IsDataLoss(status) && !absl::IsFailedPrecondition(status)) {
      return status;
    }
    if (i == 0) first = status;
    all_sound &= absl::IsFailedPrecondition(status);
  }
  if (all_sound) {
    return absl::InvalidArgumentError(absl::StrCat(
        spec.path, ": none of the first ", probes,
        " pictures is for this model of ", spec.num_channels,
        " channels, of which 1 is gray and 3 are RGB; ", first.message()));
  }
  return absl::DataLossError(absl::StrCat(spec.path, ": none of the first ",
                                          probes, " images can be used; ",
                                          first.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImageDataset>> OpenDataset(
    const DatasetSpec& spec, const ImageFolderOptions& options) {
  if (absl::Status s = Validate(spec); !s.ok()) return s;
  if (absl::Status s = ValidateClasses(spec, options.classes); !s.ok()) {
    return s;
  }
  absl::StatusOr<std::unique_ptr<ImageDataset>> dataset =
      OpenKind(spec, options);
  if (!dataset.ok()) return dataset.status();
  if (absl::Status s = CheckShape(spec, (*dataset)->shape()); !s.ok()) return s;
  if (spec.limit > 0 &&
      static_cast<uint64_t>(spec.limit) < (*dataset)->size()) {
    dataset = std::make_unique<FirstImages>(*std::move(dataset),
                                            static_cast<size_t>(spec.limit));
  }
  if (absl::Status s = Probe(spec, **dataset); !s.ok()) return s;
  return dataset;
}

}  // namespace ddgan

#include "trainer/evaluation/pictures/dataset_pictures.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "trainer/dataset/data_order.h"
#include "trainer/dataset/encoded/image_decoder.h"
#include "trainer/dataset/encoded/image_folder.h"
#include "trainer/evaluation/pictures/dataset_digest.h"

namespace ddgan {
namespace {

constexpr int kMaxSide = 1024;  // The largest model's.

class FolderPictures : public PictureSource {
 public:
  FolderPictures(std::unique_ptr<const EncodedImages> images,
                 const ImageShape& shape, std::string description)
      : images_(std::move(images)),
        shape_(shape),
        description_(std::move(description)) {}

  const std::string& description() const override { return description_; }
  const ImageShape& shape() const override { return shape_; }
  int64_t size() const override {
    return static_cast<int64_t>(images_->size());
  }
  absl::StatusOr<std::vector<uint8_t>> Pictures(int64_t first,
                                                int64_t count) override {
    if (absl::Status s = CheckPictureRange(first, count, size()); !s.ok()) {
      return s;
    }
    std::vector<uint8_t> pictures;
    std::string scratch;
    for (int64_t i = first; i < first + count; ++i) {
      const auto named = [&](const absl::Status& status) {
        return absl::Status(
            status.code(),
            absl::StrCat("--images: ", images_->Name(static_cast<size_t>(i)),
                         ": ", status.message()));
      };
      const absl::StatusOr<std::string_view> bytes =
          images_->Read(static_cast<size_t>(i), &scratch);
      if (!bytes.ok()) return named(bytes.status());
      const absl::StatusOr<DecodedImage> image = DecodeImage(*bytes);
      if (!image.ok()) return named(image.status());
      const Picture& picture = image->picture;
      if (picture.shape != shape_) {
        return named(absl::InvalidArgumentError(absl::StrCat(
            "a picture of ", ShapeText(picture.shape), ", must be of ",
            ShapeText(shape_), " as the first one is")));
      }
      pictures.insert(pictures.end(), picture.pixels.begin(),
                      picture.pixels.end());
    }
    return pictures;
  }

 private:
  const std::unique_ptr<const EncodedImages> images_;
  const ImageShape shape_;
  const std::string description_;
};

}  // namespace

DatasetPictures::DatasetPictures(std::unique_ptr<const ImageDataset> dataset,
                                 std::string description)
    : dataset_(std::move(dataset)),
      description_(std::move(description)),
      order_(EpochOrder(0, 0, dataset_->size())) {}

absl::StatusOr<std::vector<uint8_t>> DatasetPictures::Pictures(int64_t first,
                                                               int64_t count) {
  if (absl::Status s = CheckPictureRange(first, count, size()); !s.ok()) {
    return s;
  }
  const size_t bytes = PictureBytes(shape());
  std::vector<uint8_t> pictures(static_cast<size_t>(count) * bytes);
  for (int64_t i = 0; i < count; ++i) {
    const absl::Status status =
        dataset_->Image(static_cast<size_t>(DatasetIndex(first + i)),
                        absl::MakeSpan(pictures).subspan(
                            static_cast<size_t>(i) * bytes, bytes));
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("--data: picture ",
                                                      DatasetIndex(first + i),
                                                      ": ", status.message()));
    }
  }
  return pictures;
}

absl::StatusOr<std::unique_ptr<PictureSource>> OpenPictureFolder(
    const std::filesystem::path& path) {
  const auto named = [](const std::string& what, const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat("--images: ", what, ": ",
                                                    status.message()));
  };
  absl::StatusOr<std::unique_ptr<EncodedImages>> images = OpenImageFolder(path);
  if (!images.ok()) return named(path.string(), images.status());
  std::string scratch;
  const absl::StatusOr<std::string_view> bytes = (*images)->Read(0, &scratch);
  if (!bytes.ok()) return named((*images)->Name(0), bytes.status());
  const absl::StatusOr<DecodedImage> first = DecodeImage(*bytes);
  if (!first.ok()) return named((*images)->Name(0), first.status());
  const ImageShape& shape = first->picture.shape;
  if (shape.height != shape.width || shape.height > kMaxSide) {
    return named((*images)->Name(0),
                 absl::InvalidArgumentError(absl::StrCat(
                     "a picture of ", ShapeText(shape),
                     ", must be a square of at most ", kMaxSide, " pixels")));
  }
  const absl::StatusOr<std::string> digest =
      DatasetDigest(path, "image_folder");
  if (!digest.ok()) return digest.status();
  return std::make_unique<FolderPictures>(
      *std::move(images), shape, absl::StrCat("pictures of digest ", *digest));
}

}  // namespace ddgan

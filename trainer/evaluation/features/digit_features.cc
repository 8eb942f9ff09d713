#include "trainer/evaluation/features/digit_features.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/evaluation/digit_classifier.h"
#include "trainer/evaluation/features/picture_network.h"

namespace ddgan {
namespace {

constexpr int kSide = 32;

// `rows` [n, digits] -> [digits^n]: the first row's digit counts most.
std::vector<float> Joint(const std::vector<float>& rows) {
  std::vector<float> joint = {1};
  for (size_t row = 0; row < rows.size(); row += kDigitCount) {
    std::vector<float> longer;
    for (const float probability : joint) {
      for (int digit = 0; digit < kDigitCount; ++digit) {
        longer.push_back(probability * rows[row + digit]);
      }
    }
    joint = std::move(longer);
  }
  return joint;
}

class DigitFeatures : public PictureNetwork {
 public:
  DigitFeatures(std::unique_ptr<const DigitClassifier> classifier, int channels)
      : PictureNetwork(
            {.name = "digits",
             .digest = classifier->digest(),
             .feature_count = channels * DigitClassifier::kFeatureCount,
             .class_count = channels == 1
                                ? kDigitCount
                                : kDigitCount * kDigitCount * kDigitCount}),
        classifier_(std::move(classifier)),
        channels_(channels) {}

 private:
  absl::Status CheckShape(const ImageShape& shape) const override {
    if (shape == ImageShape{channels_, kSide, kSide}) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "pictures are ", shape.channels, "x", shape.height, "x", shape.width,
        "; the features 'digits' are of ", channels_, "x", kSide, "x", kSide));
  }

  absl::StatusOr<PictureFeatures> Look(
      const at::Tensor& picture) const override {
    absl::StatusOr<DigitClassifier::Answers> answers = classifier_->Answer(
        absl::MakeConstSpan(picture.const_data_ptr<uint8_t>(),
                            static_cast<size_t>(picture.numel())));
    if (!answers.ok()) return answers.status();
    return PictureFeatures{std::move(answers->features),
                           Joint(answers->probabilities)};
  }

  const std::unique_ptr<const DigitClassifier> classifier_;
  const int channels_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<FeatureNetwork>> OpenDigitFeatures(
    const std::filesystem::path& file, int channels) {
  if (channels != 1 && channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("channels is ", channels, ", must be 1 or 3"));
  }
  absl::StatusOr<std::unique_ptr<DigitClassifier>> classifier =
      DigitClassifier::Load(file);
  if (!classifier.ok()) return classifier.status();
  return std::make_unique<DigitFeatures>(*std::move(classifier), channels);
}

}  // namespace ddgan

// The classifier of digits as a feature network. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_DIGIT_FEATURES_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_DIGIT_FEATURES_H_

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "trainer/evaluation/features/feature_network.h"

namespace ddgan {

// Of pictures of 1x32x32 the last hidden layer and the ten digits'
// probabilities. With three channels a picture is three digits, as in
// Stacked-MNIST: the features of one channel after the other, and the
// probabilities of the thousand triples, each the product of its digits',
// channel 0 being the hundreds. `channels` is 1 or 3. Sets LibTorch to one
// thread, as the classifier does.
//   InvalidArgument  another number of channels
//   what DigitClassifier::Load fails with
absl::StatusOr<std::unique_ptr<FeatureNetwork>> OpenDigitFeatures(
    const std::filesystem::path& file, int channels);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_DIGIT_FEATURES_H_

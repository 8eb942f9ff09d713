// MNIST's files and the classifier of digits that goes with them. No LibTorch
// in this header.
#ifndef DDGAN_TRAINER_EVALUATION_SESSION_DIGIT_YARDSTICK_H_
#define DDGAN_TRAINER_EVALUATION_SESSION_DIGIT_YARDSTICK_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/dataset/mnist_dataset.h"
#include "trainer/evaluation/digit_classifier.h"
#include "trainer/evaluation/session/evaluation_progress.h"

namespace ddgan {

// MNIST's two splits.
struct DigitSplits {
  std::unique_ptr<MnistDataset> train;
  std::vector<uint8_t> train_labels;
  std::unique_ptr<MnistDataset> test;
  std::vector<uint8_t> test_labels;
};
// Fails as MnistDataset::Load and LoadMnistLabels do.
absl::StatusOr<DigitSplits> LoadDigitSplits(const std::string& folder);

// Where the classifier of the digits in `data` is kept if nobody says where.
// Fails as DatasetDigest does.
absl::StatusOr<std::string> DefaultClassifierFile(const std::string& cache,
                                                  const std::string& data);

// From its file, or trained and written there. Sets LibTorch to one thread.
// Fails as DigitClassifier does.
absl::StatusOr<std::unique_ptr<DigitClassifier>> ObtainClassifier(
    const std::filesystem::path& path, const DigitSplits& digits,
    EvaluationProgress* progress);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_SESSION_DIGIT_YARDSTICK_H_

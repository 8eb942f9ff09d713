// Which digit a picture shows: a small convolutional network, the yardstick for
// models of MNIST and Stacked-MNIST. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_DIGIT_CLASSIFIER_H_
#define DDGAN_TRAINER_EVALUATION_DIGIT_CLASSIFIER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/dataset/image_dataset.h"
#include "trainer/evaluation/digit_report.h"

namespace ddgan {

// Pictures are 32x32 gray, 8 bits, rows from top to bottom: MNIST's digits as
// MnistDataset gives them. Runs on the CPU, on one thread: making one sets
// LibTorch to a single thread in this process, so that results are a function
// of the arguments on one kind of processor. Const methods are thread-safe.
class DigitClassifier {
 public:
  struct Training {
    uint64_t seed = 0;
    int epochs = 3;       // [1, 100]
    int batch_size = 64;  // Smaller if there are fewer pictures. [1, 4096]
    double learning_rate = 3e-3;  // Of the first step; falls to 0. (0, 1]
  };

  // What it says of pictures, one row each, row-major.
  struct Answers {
    std::vector<float> features;       // [n, kFeatureCount], at least 0: the
                                       // last hidden layer.
    std::vector<float> probabilities;  // [n, kDigitCount], rows of sum 1.
  };
  static constexpr int kFeatureCount = 512;

  // Called after each step, with steps done and steps in all.
  using Progress = std::function<void(int64_t done, int64_t steps)>;

  // labels[i], 0 to 9, is the digit that picture i shows. Blocks: a minute for
  // MNIST's training images on one core.
  //   InvalidArgument  an option out of its range, pictures of another shape,
  //                    or labels that are not one per picture or above 9
  //   Internal         an error of LibTorch
  //   what `pictures` fails with
  static absl::StatusOr<std::unique_ptr<DigitClassifier>> Train(
      const ImageDataset& pictures, absl::Span<const uint8_t> labels,
      const Training& training, const Progress& progress);

  // What Save wrote.
  //   NotFound         no such file
  //   InvalidArgument  a symbolic link, no regular file, or larger than such a
  //                    file can be
  //   DataLoss         damaged, or of something else
  // Each message names the file.
  static absl::StatusOr<std::unique_ptr<DigitClassifier>> Load(
      const std::filesystem::path& path);

  ~DigitClassifier();

  // A safetensors file, the old one or the new one whole if the process dies.
  // The folder must exist. The file system's error.
  absl::Status Save(const std::filesystem::path& path) const;

  // SHA-256 of the file that Load read, or that Save would write.
  const std::string& digest() const { return digest_; }

  // Of the pictures `pixels` [n, 32, 32]. Memory grows with n: some 100 KB
  // each.
  //   InvalidArgument  no whole number of pictures
  //   Internal         an error of LibTorch
  absl::StatusOr<Answers> Answer(absl::Span<const uint8_t> pixels) const;

  // One guess per picture: the most probable digit. Fails as Answer does.
  absl::StatusOr<std::vector<DigitGuess>> Classify(
      absl::Span<const uint8_t> pixels) const;

  // The share of pictures in which it sees what the label says. Fails as Train
  // does.
  absl::StatusOr<double> Accuracy(const ImageDataset& pictures,
                                  absl::Span<const uint8_t> labels) const;

 private:
  struct Network;
  DigitClassifier(std::unique_ptr<const Network> network, std::string digest);

  const std::unique_ptr<const Network> network_;
  const std::string digest_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_DIGIT_CLASSIFIER_H_

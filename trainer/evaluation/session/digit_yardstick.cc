#include "trainer/evaluation/session/digit_yardstick.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "trainer/evaluation/pictures/dataset_digest.h"

namespace ddgan {

absl::StatusOr<DigitSplits> LoadDigitSplits(const std::string& folder) {
  using Split = MnistDataset::Split;
  absl::StatusOr<std::unique_ptr<MnistDataset>> train =
      MnistDataset::Load(folder, Split::kTrain);
  if (!train.ok()) return train.status();
  absl::StatusOr<std::vector<uint8_t>> train_labels =
      LoadMnistLabels(folder, Split::kTrain);
  if (!train_labels.ok()) return train_labels.status();
  absl::StatusOr<std::unique_ptr<MnistDataset>> test =
      MnistDataset::Load(folder, Split::kTest);
  if (!test.ok()) return test.status();
  absl::StatusOr<std::vector<uint8_t>> test_labels =
      LoadMnistLabels(folder, Split::kTest);
  if (!test_labels.ok()) return test_labels.status();
  return DigitSplits{*std::move(train), *std::move(train_labels),
                     *std::move(test), *std::move(test_labels)};
}

absl::StatusOr<std::string> DefaultClassifierFile(const std::string& cache,
                                                  const std::string& data) {
  const absl::StatusOr<std::string> digest = DatasetDigest(data, "mnist");
  if (!digest.ok()) return digest.status();
  return absl::StrCat(cache, "/digits-", digest->substr(0, 16), ".safetensors");
}

absl::StatusOr<std::unique_ptr<DigitClassifier>> ObtainClassifier(
    const std::filesystem::path& path, const DigitSplits& digits,
    EvaluationProgress* progress) {
  absl::StatusOr<std::unique_ptr<DigitClassifier>> classifier =
      DigitClassifier::Load(path);
  if (absl::IsDataLoss(classifier.status())) {
    return absl::DataLossError(absl::StrCat(classifier.status().message(),
                                            "; remove it to train another"));
  }
  if (!absl::IsNotFound(classifier.status())) return classifier;
  // Before a minute of work.
  if (absl::Status s =
          CheckWritable((std::filesystem::path(".") / path).parent_path());
      !s.ok()) {
    return s;
  }
  progress->Print(absl::StrCat("training the classifier that ", path.string(),
                               " will hold"));
  bool begun = false;
  classifier = DigitClassifier::Train(
      *digits.train, digits.train_labels, {}, [&](int64_t done, int64_t steps) {
        if (!begun) progress->Begin("classifier's steps", steps);
        begun = true;
        progress->Update(done);
      });
  progress->End();
  if (!classifier.ok()) return classifier;
  if (absl::Status s = (*classifier)->Save(path); !s.ok()) return s;
  return classifier;
}

}  // namespace ddgan

// ddgan-evaluate: how much of MNIST or Stacked-MNIST a published model covers.
// Exit code 0 done, 1 failed, 2 wrong usage; a failure is one line on stderr.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/base/durable_file.h"
#include "engine/base/host_cpus.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "trainer/dataset/mnist_dataset.h"
#include "trainer/evaluation/digit_classifier.h"
#include "trainer/evaluation/digit_report.h"
#include "trainer/evaluation/evaluation_options.h"
#include "trainer/evaluation/evaluation_report.h"
#include "trainer/evaluation/model_pictures.h"
#include "trainer/evaluation/real_pictures.h"

namespace ddgan {
namespace {

constexpr int kSide = 32;
constexpr int kBatch = 32;
// Between two lines on stderr, of the sampler's time.
constexpr absl::Duration kProgressInterval = absl::Seconds(10);

// MNIST's two splits.
struct Digits {
  std::unique_ptr<MnistDataset> train;
  std::vector<uint8_t> train_labels;
  std::unique_ptr<MnistDataset> test;
  std::vector<uint8_t> test_labels;
};

absl::StatusOr<Digits> LoadDigits(const std::string& folder) {
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
  return Digits{*std::move(train), *std::move(train_labels), *std::move(test),
                *std::move(test_labels)};
}

// From its file, or trained and written there.
absl::StatusOr<std::unique_ptr<DigitClassifier>> ObtainClassifier(
    const std::filesystem::path& path, const Digits& digits) {
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
  std::fprintf(stderr, "training the classifier that %s will hold\n",
               path.c_str());
  classifier = DigitClassifier::Train(
      *digits.train, digits.train_labels, {}, [](int64_t done, int64_t steps) {
        if (done * 10 / steps != (done - 1) * 10 / steps) {
          std::fprintf(stderr, "classifier: %lld of %lld steps\n",
                       static_cast<long long>(done),
                       static_cast<long long>(steps));
        }
      });
  if (!classifier.ok()) return classifier;
  if (absl::Status s = (*classifier)->Save(path); !s.ok()) return s;
  return classifier;
}

absl::Status CheckShape(const std::string& path, const ModelConfig& config,
                        EvaluationKind kind, int channels) {
  if (config.num_channels == channels && config.image_size == kSide) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--model is '", path, "', whose images are ", config.num_channels, "x",
      config.image_size, "x", config.image_size, "; ", EvaluationName(kind),
      " is of ", channels, "x", kSide, "x", kSide));
}

// "1024 of 26000 images, 61.2 a second" every now and then.
class SamplerProgress {
 public:
  explicit SamplerProgress(int64_t samples) : samples_(samples) {}

  void Show(const ModelPictures& pictures) {
    if (pictures.device_time() < next_) return;
    next_ = pictures.device_time() + kProgressInterval;
    std::fprintf(stderr, "%lld of %lld images, %.1f a second\n",
                 static_cast<long long>(pictures.images()),
                 static_cast<long long>(samples_),
                 static_cast<double>(pictures.images()) /
                     absl::ToDoubleSeconds(pictures.device_time()));
  }

 private:
  const int64_t samples_;
  absl::Duration next_ = kProgressInterval;
};

absl::StatusOr<EvaluationReport> Evaluate(const EvaluationOptions& options) {
  const int channels = options.kind == EvaluationKind::kStackedMnist ? 3 : 1;
  // What fails fast comes first.
  std::unique_ptr<const Checkpoint> checkpoint;
  if (!options.real) {
    absl::StatusOr<Checkpoint> read = ReadVersionFolder(options.model);
    if (!read.ok()) return read.status();
    if (absl::Status s = CheckShape(options.model, read->config.model_config,
                                    options.kind, channels);
        !s.ok()) {
      return s;
    }
    checkpoint = std::make_unique<const Checkpoint>(*std::move(read));
  }
  const absl::StatusOr<Digits> digits = LoadDigits(options.data);
  if (!digits.ok()) return digits.status();
  const absl::StatusOr<std::unique_ptr<DigitClassifier>> classifier =
      ObtainClassifier(options.classifier, *digits);
  if (!classifier.ok()) return classifier.status();
  const absl::StatusOr<double> accuracy =
      (*classifier)->Accuracy(*digits->test, digits->test_labels);
  if (!accuracy.ok()) return accuracy.status();

  EvaluationReport report;
  report.kind = options.kind;
  report.seed = options.seed;
  report.classifier_accuracy = *accuracy;
  const DigitSamples samples = {options.samples, kBatch, kSide, channels};
  const auto classify = [&](absl::Span<const uint8_t> pixels) {
    return (*classifier)->Classify(pixels);
  };
  absl::StatusOr<DigitReport> found;
  if (options.real) {
    RealPictures pictures(*digits->train, channels, options.seed);
    found = ReportOnDigits(
        samples, [&](int64_t count) { return pictures.Next(count); }, classify);
  } else {
    ModelPictures::Options sampler;
    sampler.seed = options.seed;
    sampler.max_batch = kBatch;
    sampler.threads =
        options.threads > 0 ? options.threads : std::min(UsableCpus(), 256);
    const absl::StatusOr<std::unique_ptr<ModelPictures>> pictures =
        ModelPictures::Create(*checkpoint, sampler);
    if (!pictures.ok()) return pictures.status();
    SamplerProgress progress(options.samples);
    found = ReportOnDigits(
        samples,
        [&](int64_t count) {
          auto next = (*pictures)->Next(count);
          progress.Show(**pictures);
          return next;
        },
        classify);
    report.model = EvaluatedModel{
        .identity = checkpoint->identity,
        .images_per_second = static_cast<double>((*pictures)->images()) /
                             absl::ToDoubleSeconds((*pictures)->device_time())};
  }
  if (!found.ok()) return found.status();
  report.digits = *found;
  return report;
}

int Fail(const absl::Status& status, int exit_code) {
  std::fprintf(stderr, "ddgan-evaluate: %s\n",
               std::string(status.message()).c_str());
  return exit_code;
}

int Run(const std::vector<std::string>& arguments) {
  const absl::StatusOr<EvaluationOptions> options =
      ParseEvaluationOptions(arguments);
  if (!options.ok()) return Fail(options.status(), 2);
  if (!options->text.empty()) {
    std::fputs(options->text.c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<EvaluationReport> report = Evaluate(*options);
  if (!report.ok()) return Fail(report.status(), 1);
  std::fputs(
      (options->json ? EvaluationJson(*report) : EvaluationTable(*report))
          .c_str(),
      stdout);
  return 0;
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  return ddgan::Run(std::vector<std::string>(argv + 1, argv + argc));
}

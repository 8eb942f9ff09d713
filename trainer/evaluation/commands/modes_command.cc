#include "trainer/evaluation/commands/modes_command.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/base/monotonic_clock.h"
#include "trainer/dataset/gaussian_mixture.h"
#include "trainer/evaluation/model_points.h"
#include "trainer/evaluation/real_pictures.h"
#include "trainer/evaluation/session/digit_yardstick.h"
#include "trainer/evaluation/session/measured_pictures.h"
#include "trainer/evaluation/session/parallel_features.h"

namespace ddgan {
namespace {

constexpr int kSide = 32;
constexpr int kBatch = 64;

absl::Status CheckShape(const std::string& path, const ImageShape& shape,
                        ModesKind kind, int channels) {
  const ImageShape wanted = {channels, kSide, kSide};
  if (shape == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--model is '", path, "', whose images are ", ShapeText(shape), "; ",
      ModesName(kind), " is of ", ShapeText(wanted)));
}

// Where the classifier is, whether anybody said it or not.
absl::StatusOr<std::string> ClassifierFile(const ModesOptions& options,
                                           const Environment& environment) {
  if (!options.classifier.empty()) return options.classifier;
  std::string cache = options.cache;
  if (cache.empty()) {
    const absl::StatusOr<std::string> folder = DefaultCacheFolder(environment);
    if (!folder.ok()) return folder.status();
    cache = *folder;
  }
  return DefaultClassifierFile(cache, options.data);
}

absl::StatusOr<ModesReport> MeasureDigits(const ModesOptions& options,
                                          const Environment& environment,
                                          EvaluationProgress* progress) {
  const int channels = options.kind == ModesKind::kStackedMnist ? 3 : 1;
  ModesReport report;
  report.kind = options.kind;
  report.seed = options.pictures.seed;
  // What fails fast comes first.
  std::optional<MeasuredPictures> measured;
  if (!options.real) {
    absl::StatusOr<MeasuredPictures> opened =
        OpenMeasuredPictures(options.pictures, options.threads);
    if (!opened.ok()) return opened.status();
    if (absl::Status s =
            CheckShape(options.pictures.model, opened->source->shape(),
                       options.kind, channels);
        !s.ok()) {
      return s;
    }
    measured = *std::move(opened);
  }
  const absl::StatusOr<DigitSplits> digits = LoadDigitSplits(options.data);
  if (!digits.ok()) return digits.status();
  const absl::StatusOr<std::string> file = ClassifierFile(options, environment);
  if (!file.ok()) return file.status();
  const absl::StatusOr<std::unique_ptr<DigitClassifier>> classifier =
      ObtainClassifier(*file, *digits, progress);
  if (!classifier.ok()) return classifier.status();
  DigitModes found;
  const absl::StatusOr<double> accuracy =
      (*classifier)->Accuracy(*digits->test, digits->test_labels);
  if (!accuracy.ok()) return accuracy.status();
  found.classifier_accuracy = *accuracy;

  RealPictures real(*digits->train, channels, options.pictures.seed);
  int64_t done = 0;
  absl::Duration sampling;
  Clock* const clock = RealMonotonicClock();
  const auto next = [&](int64_t count) -> absl::StatusOr<std::vector<uint8_t>> {
    if (!measured.has_value()) return real.Next(count);
    const absl::Time start = clock->Now();
    auto pictures = measured->source->Pictures(done, count);
    sampling += clock->Now() - start;
    done += count;
    progress->Update(done);
    return pictures;
  };
  progress->Begin("images", options.samples);
  const absl::StatusOr<DigitReport> looked =
      ReportOnDigits({options.samples, kBatch, kSide, channels}, next,
                     [&](absl::Span<const uint8_t> pixels) {
                       return (*classifier)->Classify(pixels);
                     });
  progress->End();
  if (!looked.ok()) return looked.status();
  found.digits = *looked;
  if (measured.has_value()) {
    report.model = EvaluatedModel{
        measured->version->identity, measured->version->sampler,
        measured->version->evaluations,
        static_cast<double>(done) / absl::ToDoubleSeconds(sampling)};
  }
  report.found = found;
  return report;
}

absl::StatusOr<std::vector<float>> RealPoints(uint64_t seed, int64_t count) {
  std::vector<float> points;
  const int at_once = static_cast<int>(std::min<int64_t>(count, 65'536));
  std::vector<uint32_t> rows(static_cast<size_t>(at_once));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint32_t>(i);
  const absl::StatusOr<std::unique_ptr<GaussianMixture>> mixture =
      GaussianMixture::Create(
          {.seed = seed, .global_batch = at_once, .rows = rows});
  if (!mixture.ok()) return mixture.status();
  const auto wanted = static_cast<size_t>(2 * count);
  for (int64_t step = 0; points.size() < wanted; ++step) {
    const absl::StatusOr<absl::Span<const float>> batch =
        (*mixture)->Batch(step);
    if (!batch.ok()) return batch.status();
    points.insert(points.end(), batch->begin(), batch->end());
  }
  points.resize(wanted);
  return points;
}

absl::StatusOr<ModesReport> MeasureGaussians(const ModesOptions& options) {
  UseLibTorchThreads(ThreadCount(options.threads));
  ModesReport report;
  report.kind = options.kind;
  report.seed = options.pictures.seed;
  absl::StatusOr<std::vector<float>> points;
  if (options.real) {
    points = RealPoints(options.pictures.seed, options.samples);
  } else {
    const absl::StatusOr<Checkpoint> checkpoint =
        ReadPointsVersion(options.pictures.model);
    if (!checkpoint.ok()) return checkpoint.status();
    ModelPoints::Options sampler;
    sampler.seed = options.pictures.seed;
    sampler.sampler = options.pictures.sampler;
    const absl::StatusOr<std::unique_ptr<ModelPoints>> made =
        ModelPoints::Create(*checkpoint, sampler);
    if (!made.ok()) return made.status();
    points = (*made)->Next(options.samples);
    report.model = EvaluatedModel{checkpoint->identity,
                                  options.pictures.sampler.empty()
                                      ? checkpoint->config.model_config.sampler
                                      : options.pictures.sampler,
                                  (*made)->evaluations_per_point(), 0};
  }
  if (!points.ok()) return points.status();
  const absl::StatusOr<GaussianCoverage> coverage =
      CoverageOfGaussians(*points);
  if (!coverage.ok()) return coverage.status();
  report.found = *coverage;
  return report;
}

}  // namespace

absl::StatusOr<ModesReport> MeasureModes(const ModesOptions& options,
                                         const Environment& environment,
                                         EvaluationProgress* progress) {
  return options.kind == ModesKind::kGaussians
             ? MeasureGaussians(options)
             : MeasureDigits(options, environment, progress);
}

absl::StatusOr<std::string> RunModes(const ModesOptions& options,
                                     const Environment& environment,
                                     EvaluationProgress* progress) {
  const absl::StatusOr<ModesReport> report =
      MeasureModes(options, environment, progress);
  if (!report.ok()) return report.status();
  return options.json ? ModesJson(*report) : ModesTable(*report);
}

}  // namespace ddgan

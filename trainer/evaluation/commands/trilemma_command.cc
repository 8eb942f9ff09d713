#include "trainer/evaluation/commands/trilemma_command.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/evaluation/mode_coverage.h"
#include "trainer/evaluation/model_pictures.h"
#include "trainer/evaluation/session/feature_session.h"

namespace ddgan {
namespace {

constexpr int kTimedBatch = 100;

// KL and covered modes of the digits that the classifier sees, if the features
// are its.
absl::Status AddCoverage(const FeatureSession& session,
                         const FeatureRows& probabilities, TrilemmaRow* row) {
  if (session.network().name() != "digits") return absl::OkStatus();
  std::vector<uint16_t> labels;
  for (int64_t i = 0; i < probabilities.rows; ++i) {
    const float* const first =
        probabilities.values + i * probabilities.features;
    labels.push_back(static_cast<uint16_t>(
        std::max_element(first, first + probabilities.features) - first));
  }
  const absl::StatusOr<DigitCoverage> coverage =
      probabilities.features == 10 ? CoverageOfDigits(labels)
                                   : CoverageOfStackedDigits(labels);
  if (!coverage.ok()) return coverage.status();
  row->kl = coverage->kl;
  row->modes_covered = coverage->modes_covered;
  return absl::OkStatus();
}

absl::StatusOr<TrilemmaRow> MeasureRow(const TrilemmaOptions& options,
                                       const ModelAndSampler& model,
                                       const MeasureOptions& measure,
                                       FeatureSession* session) {
  PictureOptions picture_options;
  picture_options.model = model.model;
  picture_options.sampler = model.sampler;
  picture_options.seed = options.seed;
  TrilemmaRow row;
  {
    absl::StatusOr<MeasuredPictures> pictures =
        OpenMeasuredPictures(picture_options, measure.threads);
    if (!pictures.ok()) return pictures.status();
    if (pictures->source->shape() != session->data().shape()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", model.model, "' makes pictures of ",
          ShapeText(pictures->source->shape()), ", the real ones are of ",
          ShapeText(session->data().shape())));
    }
    row.name = absl::StrCat(pictures->version->identity.model, "/",
                            pictures->version->identity.version);
    row.digest = pictures->version->identity.digest;
    absl::StatusOr<QualityReport> quality =
        MeasureQuality(&*pictures, options.metrics, options.through,
                       options.seed, measure.threads, session);
    if (!quality.ok()) return quality.status();
    row.quality = *std::move(quality);
    const absl::StatusOr<std::unique_ptr<FeatureFile>> file = session->Collect(
        pictures->source.get(), options.through, row.quality.samples, row.name);
    if (!file.ok()) return file.status();
    const auto content = (*file)->Read(row.quality.samples);
    if (!content.ok()) return content.status();
    if (absl::Status s = AddCoverage(*session, content->probabilities, &row);
        !s.ok()) {
      return s;
    }
  }
  const absl::StatusOr<Checkpoint> checkpoint = ReadVersionFolder(model.model);
  if (!checkpoint.ok()) return checkpoint.status();
  TimingOptions timing = options.timing;
  timing.threads = measure.threads;
  absl::StatusOr<SpeedReport> speed = MeasureSpeed(
      *checkpoint, model.sampler, {kTimedBatch}, timing, session->progress());
  if (!speed.ok()) return speed.status();
  row.speed = *std::move(speed);
  return row;
}

}  // namespace

absl::StatusOr<std::string> RunTrilemma(const TrilemmaOptions& options,
                                        const Environment& environment,
                                        EvaluationProgress* progress) {
  // A name that is no version is found before the first hour.
  std::optional<CheckpointConfig> first;
  for (const ModelAndSampler& model : options.models) {
    const absl::StatusOr<Checkpoint> checkpoint =
        ReadVersionFolder(model.model);
    if (!checkpoint.ok()) return checkpoint.status();
    if (!first.has_value()) first = checkpoint->config;
  }
  const absl::StatusOr<MeasureOptions> measure =
      ResolveMeasure(options.measure, first->dataset, environment);
  if (!measure.ok()) return measure.status();
  const ModelConfig& config = first->model_config;
  const absl::StatusOr<std::unique_ptr<FeatureSession>> session =
      FeatureSession::Create(
          *measure, {config.num_channels, config.image_size, config.image_size},
          options.metrics.k + 1, progress);
  if (!session.ok()) return session.status();
  TrilemmaReport report;
  for (size_t i = 0; i < options.models.size(); ++i) {
    const ModelAndSampler& model = options.models[i];
    progress->Print(absl::StrCat(
        "model ", i + 1, " of ", options.models.size(), ": ", model.model,
        model.sampler.empty() ? "" : absl::StrCat(" by ", model.sampler)));
    absl::StatusOr<TrilemmaRow> row =
        MeasureRow(options, model, *measure, session->get());
    if (!row.ok()) return row.status();
    report.rows.push_back(*std::move(row));
  }
  return options.json ? TrilemmaJson(report) : TrilemmaTable(report);
}

}  // namespace ddgan

#include "trainer/evaluation/commands/quality_command.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/evaluation/metrics/frechet_distance.h"
#include "trainer/evaluation/session/parallel_features.h"

namespace ddgan {
namespace {

bool AllRowsAreEqual(const FeatureRows& rows) {
  for (int64_t row = 1; row < rows.rows; ++row) {
    if (!std::equal(rows.values, rows.values + rows.features,
                    rows.values + row * rows.features)) {
      return false;
    }
  }
  return true;
}

absl::Status ComputeDistances(const FeatureRows& real,
                              const FeatureRows& generated, uint64_t seed,
                              EvaluationProgress* progress,
                              QualityReport* report) {
  progress->Print("Frechet and kernel distance");
  const absl::StatusOr<FeatureStatistics> real_statistics = StatisticsOf(real);
  if (!real_statistics.ok()) return real_statistics.status();
  const absl::StatusOr<FeatureStatistics> statistics = StatisticsOf(generated);
  if (!statistics.ok()) return statistics.status();
  const absl::StatusOr<double> fd =
      FrechetDistance(*real_statistics, *statistics);
  if (!fd.ok()) return fd.status();
  report->fd = *fd;

  KernelDistanceOptions options;
  options.seed = seed;
  const absl::StatusOr<KernelDistance> kid =
      KernelDistanceOfSubsets(real, generated, options);
  if (!kid.ok()) return kid.status();
  report->kid = *kid;
  if (real.rows == generated.rows) {
    const absl::StatusOr<double> all = KernelDistanceOfAll(real, generated);
    if (!all.ok()) return all.status();
    report->kid_all = *all;
  }
  return absl::OkStatus();
}

absl::Status ComputeNeighbours(const FeatureRows& real,
                               const FeatureRows& generated,
                               EvaluationProgress* progress,
                               QualityReport* report) {
  bool begun = false;
  const absl::StatusOr<NeighbourMetrics> neighbours = NeighbourMetricsOf(
      real, generated, {.k = report->k, .strict = report->strict},
      [&](int64_t done, int64_t rows) {
        if (!begun) progress->Begin("neighbours", rows);
        begun = true;
        progress->Update(done);
      });
  progress->End();
  if (!neighbours.ok()) return neighbours.status();
  report->neighbours = *neighbours;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<QualityReport> MeasureQuality(MeasuredPictures* pictures,
                                             const QualityMetrics& metrics,
                                             PictureCoding through,
                                             uint64_t seed, int threads,
                                             FeatureSession* session) {
  PictureSource& source = *pictures->source;
  QualityReport report;
  report.version = pictures->version;
  report.through = through;
  report.seed = seed;
  report.samples = metrics.samples > 0
                       ? metrics.samples
                       : DefaultSamples(source.size(), session->data_rows());
  if (report.samples > source.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--samples is ", report.samples, ", there are ",
                     source.size(), " pictures"));
  }
  report.dataset = session->dataset();
  report.data_choice = DataChoiceText(session->choice());
  report.data_samples = session->data_rows();
  report.features = session->network().name();
  report.features_digest = session->network().digest();
  report.feature_count = session->network().feature_count();
  report.fd_name = FrechetName(session->network());
  report.k = metrics.k;
  report.strict = metrics.prdc;
  const int64_t fewest = std::min(report.samples, report.data_samples);
  if (fewest < metrics.k + 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are ", fewest,
        report.samples < report.data_samples ? " pictures to measure"
                                             : " real pictures",
        ", must be at least ", metrics.k + 1, " (k + 1)"));
  }

  const absl::StatusOr<std::unique_ptr<FeatureFile>> real =
      session->Collect(&session->data(), PictureCoding::kPng,
                       report.data_samples, session->dataset());
  if (!real.ok()) return real.status();
  const absl::StatusOr<std::unique_ptr<FeatureFile>> measured =
      session->Collect(
          &source, through, report.samples,
          pictures->version.has_value()
              ? absl::StrCat(pictures->version->identity.model, "/",
                             pictures->version->identity.version)
              : "the pictures");
  if (!measured.ok()) return measured.status();
  const auto real_rows = (*real)->Read(report.data_samples);
  if (!real_rows.ok()) return real_rows.status();
  const auto measured_rows = (*measured)->Read(report.samples);
  if (!measured_rows.ok()) return measured_rows.status();

  UseLibTorchThreads(ThreadCount(threads));
  report.constant = AllRowsAreEqual(measured_rows->features);
  EvaluationProgress* const progress = session->progress();
  if (absl::Status s =
          ComputeDistances(real_rows->features, measured_rows->features, seed,
                           progress, &report);
      !s.ok()) {
    return s;
  }
  if (session->network().class_count() > 0) {
    const int splits =
        static_cast<int>(std::min<int64_t>(metrics.splits, report.samples));
    const absl::StatusOr<InceptionScore> score =
        InceptionScoreOf(measured_rows->probabilities, splits);
    if (!score.ok()) return score.status();
    report.inception = *score;
  }
  if (absl::Status s = ComputeNeighbours(
          real_rows->features, measured_rows->features, progress, &report);
      !s.ok()) {
    return s;
  }
  return report;
}

absl::StatusOr<std::string> RunQuality(const QualityOptions& options,
                                       const Environment& environment,
                                       EvaluationProgress* progress) {
  absl::StatusOr<MeasuredPictures> pictures =
      OpenMeasuredPictures(options.pictures, options.measure.threads);
  if (!pictures.ok()) return pictures.status();
  const absl::StatusOr<MeasureOptions> measure = ResolveMeasure(
      options.measure,
      pictures->version.has_value() ? pictures->version->dataset : "",
      environment);
  if (!measure.ok()) return measure.status();
  const absl::StatusOr<std::unique_ptr<FeatureSession>> session =
      FeatureSession::Create(*measure, pictures->source->shape(),
                             options.metrics.k + 1, progress);
  if (!session.ok()) return session.status();
  absl::StatusOr<QualityReport> report =
      MeasureQuality(&*pictures, options.metrics, options.pictures.through,
                     options.pictures.seed, measure->threads, session->get());
  if (!report.ok()) return report.status();
  report->pictures = options.pictures.server.empty() ? options.pictures.images
                                                     : options.pictures.server;
  return options.json ? QualityJson(*report) : QualityTable(*report);
}

}  // namespace ddgan

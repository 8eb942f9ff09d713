#include "trainer/evaluation/commands/trilemma_command.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/diffusion/update_rule.h"
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

// Reads all of them. What is wrong with one is found before the first hour.
absl::StatusOr<std::vector<CheckpointConfig>> CheckModels(
    const std::vector<ModelAndSampler>& models, bool dataset_is_given) {
  std::vector<CheckpointConfig> configs;
  std::set<std::pair<std::string, std::string>> rows;  // Digest and sampler.
  for (const auto& [model, sampler] : models) {
    const absl::StatusOr<Checkpoint> checkpoint = ReadVersionFolder(model);
    if (!checkpoint.ok()) return checkpoint.status();
    configs.push_back(checkpoint->config);
    const CheckpointConfig& first = configs.front();
    const CheckpointConfig& config = configs.back();
    const std::string& used =
        sampler.empty() ? config.model_config.sampler : sampler;
    const auto refuse = [&model = model](const auto&... why) {
      return absl::InvalidArgumentError(absl::StrCat("'", model, "' ", why...));
    };
    const absl::StatusOr<UpdateRule> rule =
        ParseUpdateRule(used, config.model_config.num_timesteps);
    if (!rule.ok()) {
      return refuse("with the sampler '", used, "', which ",
                    rule.status().message());
    }
    if (!rows.insert({checkpoint->identity.digest, used}).second) {
      return refuse("with the sampler ", used, " is given twice");
    }
    if (ShapeOf(config.model_config) != ShapeOf(first.model_config)) {
      return refuse("makes pictures of ",
                    ShapeText(ShapeOf(config.model_config)), ", the first of ",
                    ShapeText(ShapeOf(first.model_config)));
    }
    if (config.dataset != first.dataset && !dataset_is_given) {
      return refuse("was trained on ", config.dataset, ", the first on ",
                    first.dataset,
                    ": say with --dataset which all are compared with");
    }
  }
  return configs;
}

// Two versions of one name are told apart by their digests.
void NameRows(std::vector<TrilemmaRow>* rows) {
  std::map<std::string, std::set<std::string>> digests;
  for (const TrilemmaRow& row : *rows) digests[row.name].insert(row.digest);
  for (TrilemmaRow& row : *rows) {
    if (digests.at(row.name).size() > 1) {
      absl::StrAppend(&row.name, "@", row.digest.substr(0, 8));
    }
  }
}

}  // namespace

absl::StatusOr<std::string> RunTrilemma(const TrilemmaOptions& options,
                                        const Environment& environment,
                                        EvaluationProgress* progress) {
  const absl::StatusOr<std::vector<CheckpointConfig>> configs =
      CheckModels(options.models, !options.measure.dataset.empty());
  if (!configs.ok()) return configs.status();
  const CheckpointConfig& first = configs->front();
  const absl::StatusOr<MeasureOptions> measure =
      ResolveMeasure(options.measure, first.dataset, environment);
  if (!measure.ok()) return measure.status();
  const absl::StatusOr<std::unique_ptr<FeatureSession>> session =
      FeatureSession::Create(*measure, ShapeOf(first.model_config),
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
  NameRows(&report.rows);
  return options.json ? TrilemmaJson(report) : TrilemmaTable(report);
}

}  // namespace ddgan

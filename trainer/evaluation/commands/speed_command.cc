#include "trainer/evaluation/commands/speed_command.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/monotonic_clock.h"
#include "engine/checkpoint/model_loader.h"
#include "engine/diffusion/update_rule.h"
#include "engine/lanes/cpu/cpu_lane_runner.h"
#include "engine/lanes/gpu/gpu_lane_runner.h"
#include "engine/model/generator_plan.h"
#include "trainer/evaluation/model_pictures.h"
#include "trainer/options/training_config.h"

namespace ddgan {
namespace {

// A model on its device, run batch after batch.
class TimedModel {
 public:
  // `timed` of `evaluations` are run.
  TimedModel(std::shared_ptr<const Model> model,
             std::unique_ptr<BatchRunner> runner, int evaluations, int timed)
      : model_(std::move(model)),
        runner_(std::move(runner)),
        evaluations_(evaluations),
        timed_(timed) {}

  // Seconds for the evaluations that are run, of `batch` images.
  absl::StatusOr<double> Run(int batch) {
    std::vector<StepRow> rows(static_cast<size_t>(batch));
    std::vector<TrajectoryId> ids;
    for (StepRow& row : rows) {
      row.id = ++last_id_;
      row.image_index = static_cast<uint32_t>(last_id_);
      ids.push_back(row.id);
    }
    Clock* const clock = RealMonotonicClock();
    const absl::Time start = clock->Now();
    for (int i = 0; i < timed_; ++i) {
      for (StepRow& row : rows) row.step = evaluations_ - 1 - i;
      const absl::StatusOr<StepOutcome*> outcome =
          runner_->RunStep(model_, rows);
      if (!outcome.ok()) return outcome.status();
      if (!(*outcome)->not_finite.empty()) {
        return absl::InternalError("the generator's output is not finite");
      }
    }
    const double seconds = absl::ToDoubleSeconds(clock->Now() - start);
    runner_->Forget(ids);
    return seconds;
  }

 private:
  const std::shared_ptr<const Model> model_;
  const std::unique_ptr<BatchRunner> runner_;
  const int evaluations_;
  const int timed_;
  TrajectoryId last_id_ = 0;
};

absl::StatusOr<std::unique_ptr<BatchRunner>> CreateRunner(
    const TimingOptions& timing, int max_batch) {
  if (timing.device == "cpu") {
    CpuLaneRunnerOptions options;
    options.threads = ThreadCount(timing.threads);
    options.max_batch_size = max_batch;
    return CreateCpuLaneRunner(options);
  }
  GpuLaneRunnerOptions options;
  options.device = "cuda:0";
  options.pinned_batch = max_batch;
  options.max_batch_size = max_batch;
  return CreateGpuLaneRunner(options);
}

BatchTime Summary(int batch, const std::vector<double>& seconds) {
  const auto count = static_cast<double>(seconds.size());
  BatchTime time;
  time.batch = batch;
  time.repeats = static_cast<int>(seconds.size());
  time.seconds = std::accumulate(seconds.begin(), seconds.end(), 0.0) / count;
  double squares = 0;
  for (const double s : seconds) {
    squares += (s - time.seconds) * (s - time.seconds);
  }
  time.stddev = std::sqrt(squares / count);
  return time;
}

int64_t CountParameters(const ModelConfig& config) {
  int64_t count = 0;
  for (const ParameterPlan& parameter : PlanGenerator(config).parameters) {
    count += std::accumulate(parameter.shape.begin(), parameter.shape.end(),
                             int64_t{1}, std::multiplies<>());
  }
  return count;
}

absl::StatusOr<Checkpoint> OpenCheckpoint(const SpeedOptions& options) {
  if (!options.random_weights) return ReadVersionFolder(options.model);
  std::vector<GivenOption> given;
  if (options.num_timesteps > 0) {
    given.push_back({"num_timesteps", absl::StrCat(options.num_timesteps), ""});
  }
  const absl::StatusOr<TrainerOptions> resolved =
      ResolveOptions(options.config, given);
  if (!resolved.ok()) return resolved.status();
  if (resolved->networks != "ncsnpp") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--config is '", options.config, "', whose networks make no images"));
  }
  CheckpointConfig config;
  config.model_config = resolved->model_config;
  config.model = resolved->model;
  config.dataset = resolved->dataset;
  return CheckpointOfRandomWeights(config);
}

}  // namespace

absl::StatusOr<SpeedReport> MeasureSpeed(const Checkpoint& checkpoint,
                                         const std::string& sampler,
                                         const std::vector<int>& batches,
                                         const TimingOptions& timing,
                                         EvaluationProgress* progress) {
  Checkpoint timed = checkpoint;
  ModelConfig& config = timed.config.model_config;
  if (!sampler.empty()) config.sampler = sampler;
  const absl::StatusOr<UpdateRule> rule =
      ParseUpdateRule(config.sampler, config.num_timesteps);
  if (!rule.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--sampler is '", config.sampler, "', ", rule.status().message()));
  }
  SpeedReport report;
  report.model = checkpoint.identity.version > 0
                     ? absl::StrCat(checkpoint.identity.model, "/",
                                    checkpoint.identity.version)
                     : checkpoint.identity.model;
  report.sampler = config.sampler;
  report.evaluations = CountEvaluations(*rule, config.num_timesteps);
  report.timed_evaluations =
      timing.timed_evaluations > 0
          ? std::min(timing.timed_evaluations, report.evaluations)
          : report.evaluations;
  report.parameters = CountParameters(config);
  report.device = timing.device;
  report.threads = ThreadCount(timing.threads);

  absl::StatusOr<std::unique_ptr<BatchRunner>> runner =
      CreateRunner(timing, *std::max_element(batches.begin(), batches.end()));
  if (!runner.ok()) return runner.status();
  // After the runner: LibTorch then packs the weights for the one thread on
  // which a row runs.
  absl::StatusOr<LoadedModel> loaded =
      LoadModel(timed, timing.device == "cpu" ? ModelUse::kCpuLanes
                                              : ModelUse::kGpuLanes);
  if (!loaded.ok()) return loaded.status();
  TimedModel model(std::move(loaded->model), *std::move(runner),
                   report.evaluations, report.timed_evaluations);
  const double scale = static_cast<double>(report.evaluations) /
                       static_cast<double>(report.timed_evaluations);
  for (const int batch : batches) {
    progress->Begin(absl::StrCat(report.model, " by ", report.sampler,
                                 ", batches of ", batch),
                    timing.warm_up + timing.repeats);
    std::vector<double> seconds;
    for (int i = 0; i < timing.warm_up + timing.repeats; ++i) {
      const absl::StatusOr<double> taken = model.Run(batch);
      if (!taken.ok()) return taken.status();
      if (i >= timing.warm_up) seconds.push_back(*taken * scale);
      progress->Update(i + 1);
    }
    progress->End();
    report.times.push_back(Summary(batch, seconds));
  }
  return report;
}

absl::StatusOr<std::string> RunSpeed(const SpeedOptions& options,
                                     const Environment& environment,
                                     EvaluationProgress* progress) {
  static_cast<void>(environment);
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(options);
  if (!checkpoint.ok()) return checkpoint.status();
  absl::StatusOr<SpeedReport> report = MeasureSpeed(
      *checkpoint, options.sampler, options.batches, options.timing, progress);
  if (!report.ok()) return report.status();
  report->random_weights = options.random_weights;
  if (options.random_weights) report->model = options.config;
  return options.json ? SpeedJson(*report) : SpeedTable(*report);
}

}  // namespace ddgan

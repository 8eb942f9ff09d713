#include "trainer/run_output.h"

#include <ATen/TensorOperators.h>

#include <cmath>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/base/durable_file.h"
#include "engine/base/libtorch_errors.h"
#include "trainer/pictures/training_samples.h"
#include "trainer/run/initial_version.h"
#include "trainer/run/training_state.h"

namespace ddgan {
namespace {

constexpr char kMetricsFile[] = "metrics.jsonl";
constexpr char kPublishedFile[] = "published.json";
constexpr char kTrainerVersion[] = "ddgan-train " DDGAN_VERSION;

VersionPublisher::Options PublisherOptions(const RunOutput::Source& source) {
  const TrainerOptions& options = source.options;
  VersionPublisher::Options publisher;
  publisher.model_root = options.out;
  publisher.first_version = source.first_version;
  publisher.intervals.steps = options.publish_every;
  if (options.publish_minutes > 0)
    publisher.intervals.time = absl::Minutes(options.publish_minutes);
  publisher.retention = {options.keep_published, options.keep_published_every};
  CheckpointConfig& config = publisher.config;
  config.model_config = options.model_config;
  if (source.networks.kind == NetworkKind::kToyMlp) {
    config.model_config.resblock_type = options.networks;
    config.model_config.image_size = 1;
    config.model_config.num_channels = source.shape.channels;
    config.model_config.num_channels_dae = options.toy_width;
    publisher.readers = Readers::kNoServer;
  }
  config.model = options.model;
  config.dataset = options.dataset;
  config.trainer_version = kTrainerVersion;
  return publisher;
}

}  // namespace

RunOutput::RunOutput(const Source& source, Clock* clock,
                     TrainingReporter* reporter)
    : source_(source),
      folder_(RunFolder(source.options)),
      clock_(clock),
      reporter_(reporter),
      states_(folder_,
              {RunFingerprint(source.options),
               static_cast<int64_t>(source.samples)},
              clock, reporter) {}

absl::StatusOr<int64_t> RunOutput::Open() {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return PathError(error.value(), "create", folder_);
  absl::StatusOr<Folder> folder = Folder::Open(folder_);
  if (!folder.ok()) return folder.status();
  // Two processes would remove each other's states and forget each other's
  // versions. Some network file systems have no locks.
  if (absl::IsDeadlineExceeded(folder->Lock(absl::ZeroDuration()))) {
    return absl::UnavailableError(absl::StrCat(
        "another process trains in ", folder_.string(),
        ": wait for its end, or give this run another --model or --run_dir"));
  }
  locked_ = *std::move(folder);
  const TrainerOptions& options = source_.options;
  const absl::StatusOr<int64_t> steps_done =
      states_.Resume(options.resume, source_.training);
  if (!steps_done.ok()) return steps_done.status();
  if (*steps_done == 0 && !options.init_from.empty()) {
    if (absl::Status status = LoadInitialVersion(options, source_.training);
        !status.ok()) {
      return status;
    }
  }
  absl::StatusOr<std::unique_ptr<VersionPublisher>> publisher =
      VersionPublisher::Open(PublisherOptions(source_),
                             folder_ / kPublishedFile, *steps_done, clock_,
                             reporter_);
  if (!publisher.ok()) return publisher.status();
  publisher_ = *std::move(publisher);
  if (absl::Status status =
          reporter_->OpenLog(folder_ / kMetricsFile, *steps_done);
      !status.ok()) {
    return status;
  }
  return *steps_done;
}

absl::Status RunOutput::KeepWhatIsDue(int64_t steps_done) {
  if (steps_done % source_.options.save_every == 0) {
    if (absl::Status status = CheckWeights(steps_done); !status.ok())
      return status;
    reporter_->PrintFailure(steps_done, Save(steps_done));
  }
  if (publisher_->IsDue(steps_done)) {
    if (absl::Status status = CheckWeights(steps_done); !status.ok())
      return status;
    reporter_->PrintFailure(steps_done, Publish(steps_done));
  }
  // Last, since it needs the most memory.
  if (steps_done % source_.options.sample_every == 0)
    reporter_->PrintFailure(steps_done, WriteSamples(steps_done));
  return absl::OkStatus();
}

absl::Status RunOutput::Finish(int64_t steps_done) {
  if (absl::Status status = CheckWeights(steps_done); !status.ok())
    return status;
  absl::Status status = Save(steps_done);
  status.Update(Publish(steps_done));
  status.Update(WriteSamples(steps_done));
  return status;
}

absl::Status RunOutput::Save(int64_t steps_done) {
  if (absl::Status status = CheckWeights(steps_done); !status.ok())
    return status;
  return states_.Save(source_.training, steps_done);
}

absl::Status RunOutput::NotFinite(int64_t steps_done,
                                  const std::string& what) const {
  std::string kept;  // Only the first process knows.
  if (states_.last() > 0) {
    kept = absl::StrCat("; the state after step ", states_.last(),
                        " is kept in ", folder_.string());
  } else if (locked_.has_value()) {
    kept = "; no state was saved before";
  }
  return absl::InternalError(
      absl::StrCat("step ", steps_done, ": ", what, kept));
}

absl::Status RunOutput::CheckWeights(int64_t steps_done) {
  if (checked_ == steps_done) return absl::OkStatus();
  const TrainingStep& training = source_.training;
  std::vector<at::Tensor> weights = {training.generator_parameters().values()};
  if (training.has_discriminator())
    weights.push_back(training.discriminator_parameters().values());
  for (const at::Tensor& values : weights) {
    // One pass: the sum of squares of finite numbers that Adam can reach is
    // finite.
    if (!std::isfinite(values.square().sum().item<double>()))
      return NotFinite(steps_done, "a weight is not finite");
  }
  checked_ = steps_done;
  return absl::OkStatus();
}

absl::Status RunOutput::Publish(int64_t steps_done) {
  return publisher_->Publish(steps_done, [this] {
    return SerializeEmaWeights(source_.training,
                               PlanGeneratorParameters(source_.networks),
                               EffectiveConfigJson(source_.options));
  });
}

absl::Status RunOutput::WriteSamples(int64_t steps_done) {
  if (sampled_ == steps_done) return absl::OkStatus();
  const absl::StatusOr<std::string> summary = CatchingLibTorch("pictures", [&] {
    return WriteTrainingSamples(
        {source_.networks, source_.training, source_.shape},
        source_.options.samples, folder_, steps_done);
  });
  if (!summary.ok()) return summary.status();
  if (!summary->empty())
    reporter_->Print(absl::StrCat("step ", steps_done, ": ", *summary));
  sampled_ = steps_done;
  return absl::OkStatus();
}

}  // namespace ddgan

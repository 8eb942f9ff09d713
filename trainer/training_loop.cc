#include "trainer/training_loop.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "engine/checkpoint/durable_file.h"
#include "engine/checkpoint/parameter_loader.h"
#include "engine/diffusion.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "engine/noise_schedule.h"
#include "engine/philox.h"
#include "trainer/checkpoint_publisher.h"
#include "trainer/data_order.h"
#include "trainer/learning_rate.h"
#include "trainer/progress.h"
#include "trainer/publish_policy.h"
#include "trainer/published_versions.h"
#include "trainer/sample_grid.h"
#include "trainer/training_state.h"
#include "trainer/training_step.h"

namespace ddgan {
namespace {

constexpr char kStateFile[] = "state.safetensors";
constexpr char kPublishedFile[] = "published.json";
constexpr char kTrainerVersion[] = "ddgan-train " DDGAN_VERSION;
// A sample grid shows the same images at every step, so that they can be
// compared: 8 x 8 of this seed, the same noise as the server's.
constexpr uint64_t kSampleSeed = 7;
constexpr int kSampleCount = 64;

// uint8 rows (H, W, C) to float planes in [-1, 1].
void ToPlanes(const std::vector<uint8_t>& rows, const ImageShape& shape,
              float* planes) {
  const int pixels = shape.height * shape.width;
  for (int p = 0; p < pixels; ++p) {
    for (int c = 0; c < shape.channels; ++c) {
      const float value = rows[p * shape.channels + c];
      planes[c * pixels + p] = (value / 255.0f - 0.5f) / 0.5f;
    }
  }
}

// What the generator is before the first step.
struct Beginning {
  Parameters generator;
  int64_t version = 0;  // Of the version it was taken from, or 0.
};

// Fails as ReadCheckpoint does; InvalidArgument that names the version if it is
// of another model or architecture.
absl::StatusOr<Beginning> Begin(const TrainerOptions& options) {
  if (options.init_from.empty()) {
    return Beginning{InitialParameters(
        PlanGenerator(options.model_config).parameters, options.seed)};
  }
  const auto refused = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("--init_from is '", options.init_from, "': ", why));
  };
  const std::filesystem::path folder =
      std::filesystem::absolute(options.init_from).lexically_normal();
  const std::optional<int64_t> version =
      ParseVersionName(folder.filename().string());
  if (!version) return refused("must end in <model>/<version>");
  const absl::StatusOr<Checkpoint> checkpoint =
      ReadCheckpoint(folder.parent_path().parent_path(),
                     folder.parent_path().filename().string(), *version);
  if (!checkpoint.ok()) return checkpoint.status();
  if (checkpoint->config.model_config != options.model_config) {
    return refused("its architecture is not the one that the flags ask for");
  }
  absl::StatusOr<Parameters> parameters = LoadParameters(*checkpoint);
  if (!parameters.ok()) return parameters.status();
  return Beginning{*std::move(parameters), *version};
}

class TrainingLoop {
 public:
  TrainingLoop(const TrainerOptions& options, const ImageDataset& dataset,
               const Beginning& beginning, PublishedVersions versions,
               Clock* clock, const Report& report)
      : options_(options),
        dataset_(dataset),
        clock_(clock),
        report_(report),
        folder_(RunFolder(options)),
        first_version_(beginning.version),
        publish_intervals_(IntervalsOf(options)),
        steps_per_epoch_(
            static_cast<int64_t>(dataset.size() / options.batch_size)),
        total_steps_(options.max_steps > 0
                         ? options.max_steps
                         : steps_per_epoch_ * (options.num_epoch + 1)),
        training_(options.model_config, DiscriminatorOf(options),
                  TrainingOptions{options.r1_gamma, options.lazy_reg,
                                  options.ema_decay,
                                  options.discriminator_head_start},
                  beginning.generator,
                  InitialParameters(PlanDiscriminator(DiscriminatorOf(options)),
                                    options.seed + 1)),
        versions_(std::move(versions)),
        batch_(at::empty({options.batch_size, dataset.shape().channels,
                          dataset.shape().height, dataset.shape().width},
                         at::kFloat)) {}

  absl::Status Run(const std::atomic<bool>& stop) {
    if (absl::Status status = Start(); !status.ok()) return status;
    // Steps that leave the generator alone leave the average alone, too.
    if (steps_done_ < options_.discriminator_head_start &&
        !training_.ema().values().defined()) {
      training_.ema().Update(training_.generator_parameters().values());
    }
    window_start_ = last_publish_ = clock_->Now();
    while (steps_done_ < total_steps_ && !stop) {
      if (absl::Status status = Step(); !status.ok()) return status;
      if (steps_done_ % options_.log_every == 0 ||
          steps_done_ == total_steps_) {
        ReportProgress();
      }
      if (steps_done_ % options_.sample_every == 0) {
        if (absl::Status status = WriteSamples(); !status.ok()) return status;
      }
      if (steps_done_ % options_.save_every == 0) {
        if (absl::Status status = Save(); !status.ok()) return status;
      }
      if (PublishIsDue(publish_intervals_, steps_done_,
                       clock_->Now() - last_publish_)) {
        if (absl::Status status = Publish(); !status.ok()) return status;
      }
    }
    if (stop) report_(absl::StrCat("stopped after step ", steps_done_));
    if (steps_done_ == 0) return absl::OkStatus();
    if (absl::Status status = Save(); !status.ok()) return status;
    if (absl::Status status = WriteSamples(); !status.ok()) return status;
    return Publish();
  }

 private:
  static DiscriminatorConfig DiscriminatorOf(const TrainerOptions& options) {
    DiscriminatorConfig config;
    config.size = options.model_config.image_size >= 64
                      ? DiscriminatorSize::kLarge
                      : DiscriminatorSize::kSmall;
    config.num_channels = options.model_config.num_channels;
    config.ngf = options.ngf;
    config.t_emb_dim = options.t_emb_dim;
    config.fir_kernel = options.model_config.fir_kernel;
    return config;
  }

  static PublishIntervals IntervalsOf(const TrainerOptions& options) {
    PublishIntervals intervals;
    intervals.steps = options.publish_every;
    if (options.publish_minutes > 0)
      intervals.time = absl::Minutes(options.publish_minutes);
    return intervals;
  }

  std::filesystem::path StatePath() const { return folder_ / kStateFile; }

  absl::Status Start() {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error) {
      return absl::InternalError(
          absl::StrCat("creating ", folder_.string(), ": ", error.message()));
    }
    const bool saved = std::filesystem::exists(StatePath(), error);
    if (saved && options_.resume == ResumePolicy::kNever) {
      return absl::FailedPreconditionError(
          absl::StrCat(StatePath().string(),
                       " is there and --resume=never: remove it, or choose "
                       "another --run_dir"));
    }
    if (saved) {
      const absl::StatusOr<int64_t> steps =
          LoadTrainingState(StatePath(), RunFingerprint(options_), training_);
      if (!steps.ok()) return steps.status();
      steps_done_ = published_ = saved_ = *steps;
      report_(absl::StrCat("resumed after step ", steps_done_, " from ",
                           StatePath().string()));
    }
    report_(absl::StrCat("generator ",
                         training_.generator_parameters().values().numel(),
                         " parameters, discriminator ",
                         training_.discriminator_parameters().values().numel(),
                         ", ", dataset_.size(), " images, ", steps_per_epoch_,
                         " steps per epoch, batch ", options_.batch_size, ", ",
                         at::get_num_threads(), " threads"));
    return absl::OkStatus();
  }

  absl::Status FillBatch() {
    const int64_t epoch = steps_done_ / steps_per_epoch_;
    if (epoch != order_epoch_) {
      order_ = EpochOrder(options_.seed, epoch, dataset_.size());
      order_epoch_ = epoch;
    }
    const size_t first = static_cast<size_t>(steps_done_ % steps_per_epoch_) *
                         options_.batch_size;
    const ImageShape& shape = dataset_.shape();
    rows_.resize(static_cast<size_t>(shape.channels) * shape.height *
                 shape.width);
    float* planes = batch_.mutable_data_ptr<float>();
    for (int b = 0; b < options_.batch_size; ++b) {
      const absl::Status status =
          dataset_.Image(order_[first + b], absl::MakeSpan(rows_));
      if (!status.ok()) return status;
      ToPlanes(rows_, shape, planes + b * rows_.size());
    }
    return absl::OkStatus();
  }

  double Rate(double base) const {
    if (options_.no_lr_decay) return base;
    const auto epoch = static_cast<int>(
        std::min<int64_t>(steps_done_ / steps_per_epoch_, options_.num_epoch));
    return CosineLearningRate(base, epoch, options_.num_epoch);
  }

  absl::Status Step() {
    if (absl::Status status = FillBatch(); !status.ok()) return status;
    const StepLosses losses =
        training_.Run(batch_,
                      DrawStep(options_.model_config, options_.batch_size,
                               options_.seed, steps_done_),
                      steps_done_, Rate(options_.lr_g), Rate(options_.lr_d));
    const double discriminator =
        losses.discriminator_real + losses.discriminator_fake;
    if (!std::isfinite(discriminator) ||
        !std::isfinite(losses.generator.value_or(0)) ||
        !std::isfinite(losses.r1.value_or(0))) {
      return absl::InternalError(absl::StrCat(
          "step ", steps_done_, ": a loss is not finite (D ", discriminator,
          ", G ", losses.generator.value_or(0), ", R1 ", losses.r1.value_or(0),
          "); the last saved state is kept in ", StatePath().string()));
    }
    ++steps_done_;
    ++window_steps_;
    window_d_ += discriminator;
    window_g_ += losses.generator.value_or(0);
    if (losses.r1) last_r1_ = losses.r1;
    return absl::OkStatus();
  }

  void ReportProgress() {
    const absl::Time now = clock_->Now();
    Progress progress;
    progress.step = steps_done_;
    progress.total_steps = total_steps_;
    progress.images = steps_done_ * options_.batch_size;
    progress.images_per_second = static_cast<double>(window_steps_) *
                                 options_.batch_size /
                                 absl::ToDoubleSeconds(now - window_start_);
    progress.discriminator_loss = window_d_ / window_steps_;
    progress.generator_loss = window_g_ / window_steps_;
    progress.r1 = last_r1_;
    report_(ProgressLine(progress, options_.batch_size));
    window_start_ = now;
    window_steps_ = 0;
    window_d_ = window_g_ = 0;
  }

  absl::Status Save() {
    if (saved_ == steps_done_) return absl::OkStatus();
    saved_ = steps_done_;
    return SaveTrainingState(StatePath(), training_, steps_done_,
                             RunFingerprint(options_));
  }

  // The whole chain of T steps from the averaged weights.
  absl::Status WriteSamples() {
    if (sampled_ == steps_done_) return absl::OkStatus();
    sampled_ = steps_done_;
    const c10::NoGradGuard no_grad;
    const ModelConfig& config = options_.model_config;
    const Generator generator(config, training_.generator_parameters().Split(
                                          training_.ema().values()));
    const NoiseSchedule schedule = ComputeNoiseSchedule(config);
    const Diffusion diffusion(schedule, at::kFloat);
    const auto draw = [](std::vector<int64_t> shape, uint32_t step,
                         NoiseStream stream) {
      shape.insert(shape.begin(), kSampleCount);
      at::Tensor noise = at::empty(shape, at::kFloat);
      const int64_t numel = noise.numel() / kSampleCount;
      for (uint32_t i = 0; i < kSampleCount; ++i) {
        FillNormal({kSampleSeed, i, step, stream}, numel,
                   noise.mutable_data_ptr<float>() + i * numel);
      }
      return noise;
    };
    const std::vector<int64_t> image = {config.num_channels, config.image_size,
                                        config.image_size};
    at::Tensor x = draw(image, config.num_timesteps, NoiseStream::kInitial);
    for (int t = config.num_timesteps - 1; t >= 0; --t) {
      const at::Tensor steps = at::full({kSampleCount}, t, at::kLong);
      const at::Tensor x0 = generator.Forward(
          x, steps, draw({config.nz}, t, NoiseStream::kLatent));
      x = diffusion.Posterior(x0, x, steps,
                              draw(image, t, NoiseStream::kPosterior));
    }

    const ImageShape& shape = dataset_.shape();
    const at::Tensor planes = x.contiguous();
    const int64_t size = planes.numel() / kSampleCount;
    std::vector<uint8_t> rows(planes.numel());
    for (int i = 0; i < kSampleCount; ++i) {
      ToRgb8Cpu({planes.const_data_ptr<float>() + i * size,
                 static_cast<size_t>(size)},
                shape, absl::MakeSpan(rows).subspan(i * size, size));
    }
    const absl::StatusOr<std::string> png = EncodeSampleGrid(rows, shape);
    if (!png.ok()) return png.status();
    return WriteFileDurably(
        folder_ / absl::StrCat("samples_step_", steps_done_, ".png"), *png);
  }

  absl::Status Publish() {
    if (published_ == steps_done_) return absl::OkStatus();
    const absl::StatusOr<std::string> weights = SerializeEmaWeights(training_);
    if (!weights.ok()) return weights.status();
    CheckpointConfig config;
    config.model_config = options_.model_config;
    config.model = options_.model;
    const int64_t version = first_version_ + steps_done_;
    config.training_step = version;
    config.dataset = options_.dataset;
    last_publish_ = clock_->Now();
    config.created = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", last_publish_,
                                      absl::UTCTimeZone());
    config.trainer_version = kTrainerVersion;
    const absl::StatusOr<ModelIdentity> identity =
        PublishCheckpoint(options_.out, version, config, *weights);
    // A run resumed from an older state comes past versions that it published
    // before.
    if (absl::IsAlreadyExists(identity.status())) {
      report_(absl::StrCat("version ", version, " is published already"));
    } else if (!identity.ok()) {
      return identity.status();
    } else {
      report_(absl::StrCat("published ", options_.out, "/", options_.model, "/",
                           version));
      if (absl::Status status = versions_.Add(version, identity->digest);
          !status.ok())
        return status;
    }
    published_ = steps_done_;
    return RemoveOldVersions();
  }

  // Of a version that cannot be removed the report says why, and training goes
  // on.
  absl::Status RemoveOldVersions() {
    for (const int64_t version : VersionsToRemove(
             versions_.versions(),
             {options_.keep_published, options_.keep_published_every})) {
      const absl::Status removed = RemoveCheckpoint(
          options_.out, {options_.model, version, versions_.digest(version)});
      if (!removed.ok() && !absl::IsNotFound(removed))
        report_(absl::StrCat("version ", version, ": ", removed.message()));
      // What is gone or somebody else's by now is not tried again.
      if (removed.ok() || absl::IsNotFound(removed) ||
          absl::IsFailedPrecondition(removed)) {
        if (absl::Status status = versions_.Remove(version); !status.ok())
          return status;
      }
    }
    return absl::OkStatus();
  }

  const TrainerOptions& options_;
  const ImageDataset& dataset_;
  Clock* const clock_;
  const Report& report_;
  const std::filesystem::path folder_;
  const int64_t first_version_;
  const PublishIntervals publish_intervals_;
  const int64_t steps_per_epoch_;
  const int64_t total_steps_;

  TrainingStep training_;
  int64_t steps_done_ = 0;
  // Steps done at the last of each, so that the end of a run repeats nothing.
  int64_t published_ = 0;
  int64_t saved_ = 0;
  int64_t sampled_ = 0;

  absl::Time last_publish_;  // Or the start.
  PublishedVersions versions_;

  at::Tensor batch_;
  std::vector<uint8_t> rows_;  // One image, on its way into batch_.
  std::vector<uint32_t> order_;
  int64_t order_epoch_ = -1;

  // Since the last progress line.
  absl::Time window_start_;
  int64_t window_steps_ = 0;
  double window_d_ = 0;
  double window_g_ = 0;
  std::optional<double> last_r1_;
};

absl::Status CheckFits(const TrainerOptions& options,
                       const ImageDataset& dataset) {
  const ImageShape& shape = dataset.shape();
  const ModelConfig& config = options.model_config;
  if (shape.channels != config.num_channels ||
      shape.height != config.image_size || shape.width != config.image_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the data set has images of ", shape.channels, "x", shape.height, "x",
        shape.width, ", the model is for ", config.num_channels, "x",
        config.image_size, "x", config.image_size));
  }
  if (dataset.size() < static_cast<size_t>(options.batch_size)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--batch_size is ", options.batch_size, ", but the data set has only ",
        dataset.size(), " images"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunTraining(const TrainerOptions& options,
                         const ImageDataset& dataset,
                         const std::atomic<bool>& stop, Clock* clock,
                         const Report& report) {
  if (absl::Status status = ValidateTrainerOptions(options, /*world_size=*/1);
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckFits(options, dataset); !status.ok()) {
    return status;
  }
  try {
    if (options.threads > 0) at::set_num_threads(options.threads);
    const absl::StatusOr<Beginning> beginning = Begin(options);
    if (!beginning.ok()) return beginning.status();
    absl::StatusOr<PublishedVersions> versions = PublishedVersions::Load(
        std::filesystem::path(RunFolder(options)) / kPublishedFile);
    if (!versions.ok()) return versions.status();
    return TrainingLoop(options, dataset, *beginning, *std::move(versions),
                        clock, report)
        .Run(stop);
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("LibTorch: ", e.what()));
  }
}

}  // namespace ddgan

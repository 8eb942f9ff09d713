#include "trainer/training_loop.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "engine/base/host_cpus.h"
#include "engine/base/libtorch_errors.h"
#include "trainer/dataset/data_order.h"
#include "trainer/distributed/agreement.h"
#include "trainer/run/initial_version.h"
#include "trainer/run/training_reporter.h"
#include "trainer/run/training_state.h"
#include "trainer/run_output.h"
#include "trainer/step/learning_rate.h"
#include "trainer/step/step_options.h"
#include "trainer/step/training_step.h"

namespace ddgan {
namespace {

// Before a step. In the order of their weight: the heaviest wish of any process
// counts.
enum class Decision : int64_t {
  kGoOn = 0,
  kTimeIsUp = 1,
  kStop = 2,        // Somebody asked for it.
  kUnreadable = 3,  // The images of the next step.
};

double RateAt(double base, int64_t epoch, const TrainerOptions& options) {
  if (options.no_lr_decay) return base;
  return CosineLearningRate(
      base, static_cast<int>(std::min<int64_t>(epoch, options.num_epoch)),
      options.num_epoch);
}

double Norm(const at::Tensor& vector) { return vector.norm().item<double>(); }

// What a pass over all weights tells of the step.
void AddNorms(const TrainingStep& training, TrainingMetrics::Step* step) {
  const FlatParameters& generator = training.generator_parameters();
  if (training.has_discriminator()) {
    step->discriminator_gradient_norm =
        Norm(training.discriminator_parameters().gradient());
  }
  if (step->generator_loss)
    step->generator_gradient_norm = Norm(generator.gradient());
  step->ema_distance = Norm(training.ema().values() - generator.values()) /
                       std::max(1e-30, Norm(generator.values()));
}

// Empty if all that were computed are finite.
std::string NotFiniteLosses(const StepLosses& losses) {
  const std::pair<const char*, std::optional<double>> all[] = {
      {"D real", losses.discriminator_real},
      {"D fake", losses.discriminator_fake},
      {"G", losses.generator},
      {"R1", losses.r1}};
  bool finite = true;
  std::vector<std::string> texts;
  for (const auto& [name, loss] : all) {
    if (!loss) continue;
    finite = finite && std::isfinite(*loss);
    texts.push_back(absl::StrCat(name, " ", *loss));
  }
  return finite ? "" : absl::StrJoin(texts, ", ");
}

class TrainingLoop {
 public:
  TrainingLoop(const TrainerOptions& options, const TrainingContext& context,
               int64_t first_version, const at::Device& device)
      : options_(options),
        data_(*context.data),
        group_(*context.group),
        clock_(context.clock),
        steps_per_epoch_(
            static_cast<int64_t>(data_.size() / options.batch_size)),
        total_steps_(TotalSteps(options, data_.size())),
        device_(device),
        networks_(NetworksOf(options)),
        training_(
            networks_, StepOptionsOf(options),
            InitialParameters(PlanGeneratorParameters(networks_), options.seed),
            InitialParameters(PlanDiscriminatorParameters(networks_),
                              options.seed + 1),
            device),
        draws_(
            {data_.shape().channels, data_.shape().height, data_.shape().width,
             options.model_config.nz, options.model_config.num_timesteps},
            options.seed,
            RowsOfProcess(options.batch_size, group_.size(), group_.rank(),
                          options.accumulate),
            device,
            training_.has_discriminator() ? DrawnTensors::kAdversarial
                                          : DrawnTensors::kDenoising),
        reporter_({.batch_size = options.batch_size,
                   .total_steps = total_steps_,
                   .several_processes = group_.size() > 1},
                  context.display, context.metrics),
        output_({.options = options_,
                 .networks = networks_,
                 .training = training_,
                 .shape = data_.shape(),
                 .samples = data_.size(),
                 .first_version = first_version},
                clock_, &reporter_) {}

  absl::Status Run(const std::atomic<bool>& stop) {
    if (absl::Status status = Start(); !status.ok()) return status;
    started_ = clock_->Now();
    reporter_.Begin(started_);
    // The process that saved this state may have ended before it published.
    if (IsFirst() && steps_done_ > 0) {
      if (absl::Status status = output_.KeepWhatIsDue(steps_done_);
          !status.ok()) {
        return status;
      }
    }
    absl::Status ending;
    while (steps_done_ < total_steps_) {
      const absl::Time begin = clock_->Now();
      Decision wish = OwnWish(stop);
      absl::StatusOr<at::Tensor> samples;
      if (wish == Decision::kGoOn) {
        samples = NextSamples();
        if (!samples.ok()) wish = Decision::kUnreadable;
      }
      const absl::StatusOr<int64_t> heaviest =
          LargestOf(group_, static_cast<int64_t>(wish));
      if (!heaviest.ok()) return heaviest.status();
      const auto decision = static_cast<Decision>(*heaviest);
      if (decision == Decision::kUnreadable) {
        return EndUnread(wish == Decision::kUnreadable
                             ? samples.status()
                             : absl::UnavailableError(
                                   "another process cannot read its images, "
                                   "and says why"));
      }
      if (decision != Decision::kGoOn) {
        const std::string line =
            absl::StrCat("stopped after step ", steps_done_);
        reporter_.Print(line);
        if (decision == Decision::kStop) ending = absl::CancelledError(line);
        break;
      }
      if (absl::Status status = Step(*samples, begin); !status.ok())
        return status;
      if (!IsFirst()) continue;
      if (absl::Status status = output_.KeepWhatIsDue(steps_done_);
          !status.ok()) {
        return status;
      }
    }
    if (IsFirst() && steps_done_ > 0) {
      if (absl::Status status = output_.Finish(steps_done_); !status.ok())
        ending = status;
    }
    return AgreeOnEnd(group_, ending);
  }

 private:
  bool IsFirst() const { return group_.rank() == 0; }

  absl::Status Start() {
    // Processes that differ in this would wait for each other in vain, or add
    // up gradients of different things.
    const SharedFact facts[] = {
        {"another configuration", EffectiveConfigJson(options_)},
        {"another --accumulate", absl::StrCat(options_.accumulate)},
        {"another --log_every", absl::StrCat(options_.log_every)},
        {"a data set of another size", absl::StrCat(data_.size())},
    };
    absl::Status status = CheckSameEverywhere(group_, facts);
    if (status.ok()) status = training_.Join(&group_, clock_);
    if (status.ok() && IsFirst()) {
      const absl::StatusOr<int64_t> resumed = output_.Open();
      if (resumed.ok()) steps_done_ = *resumed;
      status = resumed.status();
    }
    if (status.ok())
      status = ShareTrainingState(group_, training_, &steps_done_);
    if (!status.ok()) return status;
    // Steps that leave the generator alone leave the average alone, too.
    if (steps_done_ < options_.discriminator_head_start &&
        !training_.ema().values().defined()) {
      training_.ema().Update(training_.generator_parameters().values());
    }
    reporter_.Print(absl::StrCat(
        "generator ", training_.generator_parameters().values().numel(),
        " parameters, ",
        training_.has_discriminator()
            ? absl::StrCat(
                  "discriminator ",
                  training_.discriminator_parameters().values().numel())
            : "no discriminator",
        ", ", data_.size(), " samples, ", steps_per_epoch_,
        " steps per epoch, batch ", options_.batch_size, ", ", group_.size(),
        " process(es), ",
        device_.is_cpu() ? absl::StrCat(at::get_num_threads(), " threads")
                         : device_.str()));
    return absl::OkStatus();
  }

  Decision OwnWish(const std::atomic<bool>& stop) const {
    if (stop) return Decision::kStop;
    const bool time_is_up =
        options_.max_hours > 0 && IsFirst() &&
        clock_->Now() - started_ >= absl::Hours(options_.max_hours);
    return time_is_up ? Decision::kTimeIsUp : Decision::kGoOn;
  }

  // This step's rows on the device.
  absl::StatusOr<at::Tensor> NextSamples() {
    const absl::StatusOr<absl::Span<const float>> rows =
        data_.Batch(steps_done_);
    if (!rows.ok()) return rows.status();
    const at::Tensor host = at::from_blob(
        const_cast<float*>(rows->data()),
        {options_.batch_size / group_.size(), data_.shape().channels,
         data_.shape().height, data_.shape().width},
        at::kFloat);
    return device_.is_cpu() ? host : host.to(device_);
  }

  // `begin` is when it began to wait for `samples`.
  absl::Status Step(const at::Tensor& samples, absl::Time begin) {
    const int64_t epoch = steps_done_ / steps_per_epoch_;
    const StepSettings settings = {steps_done_,
                                   RateAt(options_.lr_g, epoch, options_),
                                   RateAt(options_.lr_d, epoch, options_)};
    const absl::StatusOr<StepLosses> losses =
        training_.Run(samples, draws_.Draw(steps_done_), settings);
    if (!losses.ok()) return losses.status();
    if (const std::string text = NotFiniteLosses(*losses); !text.empty()) {
      return output_.NotFinite(
          steps_done_, absl::StrCat("a loss is not finite (", text, ")"));
    }
    ++steps_done_;
    const bool log =
        steps_done_ % options_.log_every == 0 || steps_done_ == total_steps_;
    if (log || group_.size() == 1) {
      if (absl::Status status = GatherDataTrouble(); !status.ok())
        return status;
    }
    if (IsFirst()) Report(settings, *losses, begin, log);
    return absl::OkStatus();
  }

  // Of all processes: a step waits for the one that waits longest.
  absl::Status GatherDataTrouble() {
    const double wait = data_.WaitSeconds();
    const absl::StatusOr<int64_t> longest = LargestOf(
        group_, absl::ToInt64Nanoseconds(
                    absl::Seconds(wait - std::exchange(own_data_wait_, wait))));
    if (!longest.ok()) return longest.status();
    data_wait_ += 1e-9 * static_cast<double>(*longest);
    const absl::StatusOr<int64_t> damaged =
        SumOf(group_, data_.DamagedSamples());
    if (!damaged.ok()) return damaged.status();
    damaged_samples_ = *damaged;
    return absl::OkStatus();
  }

  void Report(const StepSettings& settings, const StepLosses& losses,
              absl::Time begin, bool log) {
    const absl::Time now = clock_->Now();
    const GradientReducer::Totals sums = training_.reduction_totals();
    TrainingMetrics::Step step;
    step.step = steps_done_;
    step.images = options_.batch_size;
    step.duration = now - begin;
    step.data_wait_seconds = data_wait_;
    step.damaged_images = damaged_samples_;
    step.gradient_wait_seconds = absl::ToDoubleSeconds(sums.waited);
    step.gradient_bytes = sums.bytes;
    step.gradient_sums = sums.sums;
    step.early_gradient_sums = sums.early_sums;
    step.discriminator_real_loss = losses.discriminator_real;
    step.discriminator_fake_loss = losses.discriminator_fake;
    if (training_.has_discriminator())
      step.discriminator_rate = settings.discriminator_rate;
    step.generator_rate = settings.generator_rate;
    step.generator_loss = losses.generator;
    step.r1 = losses.r1;
    if (log) AddNorms(training_, &step);
    reporter_.OnStep(step, now, log);
  }

  // Before a step that cannot begin: what was done is saved, and `reason` is
  // the end.
  absl::Status EndUnread(const absl::Status& reason) {
    if (IsFirst() && steps_done_ > 0) {
      const absl::Status saved = output_.Save(steps_done_);
      if (!saved.ok()) {
        reporter_.Print(
            absl::StrCat("step ", steps_done_, ": ", saved.message()));
      }
    }
    return AgreeOnEnd(group_, reason);
  }

  const TrainerOptions& options_;
  BatchSource& data_;
  ProcessGroup& group_;
  Clock* const clock_;
  const int64_t steps_per_epoch_;
  const int64_t total_steps_;
  const at::Device device_;
  const NetworksConfig networks_;

  TrainingStep training_;
  TrainingDraws draws_;
  TrainingReporter reporter_;
  RunOutput output_;

  absl::Time started_;
  int64_t steps_done_ = 0;

  double own_data_wait_ = 0;  // Seconds, as far as they were gathered.
  // Of all processes, since the start. With several, as of the last line of the
  // log.
  double data_wait_ = 0;  // Seconds.
  int64_t damaged_samples_ = 0;
};

absl::Status CheckFits(const TrainerOptions& options, const BatchSource& data) {
  const ImageShape& shape = data.shape();
  const ModelConfig& config = options.model_config;
  if (options.networks != "toy_mlp" &&
      (shape.channels != config.num_channels ||
       shape.height != config.image_size || shape.width != config.image_size)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the data set has images of ", shape.channels, "x", shape.height, "x",
        shape.width, ", the model is for ", config.num_channels, "x",
        config.image_size, "x", config.image_size));
  }
  return CheckHasABatch(options, data.size());
}

// Where a process computes; its settings are LibTorch's, for the whole process.
at::Device PrepareDevice(const TrainerOptions& options, int local_rank) {
  // LibTorch's own default does not know a container's quota.
  const int usable = std::min(UsableCpus(), at::get_num_threads());
  at::set_num_threads(options.threads > 0 ? options.threads : usable);
  if (options.device == "cpu") return at::kCPU;
  auto& context = at::globalContext();
  const bool tf32 = options.precision == "tf32";
  context.setAllowTF32CuDNN(tf32);
  context.setAllowTF32CuBLAS(tf32);
  // Shapes stay the same over a run, so measuring kernels once pays.
  context.setBenchmarkCuDNN(true);
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank));
}

}  // namespace

int64_t TotalSteps(const TrainerOptions& options, size_t samples) {
  if (options.max_steps > 0) return options.max_steps;
  return static_cast<int64_t>(samples / options.batch_size) *
         (options.num_epoch + 1);
}

absl::Status RunTraining(const TrainerOptions& options,
                         const TrainingContext& context,
                         const std::atomic<bool>& stop) {
  if (absl::Status status =
          ValidateTrainerOptions(options, context.group->size());
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckFits(options, *context.data); !status.ok()) {
    return status;
  }
  return CatchingLibTorch("LibTorch", [&] {
    const at::Device device = PrepareDevice(options, context.local_rank);
    const c10::OptionalDeviceGuard guard(device);
    const absl::StatusOr<int64_t> first_version = InitialVersion(options);
    if (!first_version.ok()) return first_version.status();
    return TrainingLoop(options, context, *first_version, device).Run(stop);
  });
}

}  // namespace ddgan

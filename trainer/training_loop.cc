#include "trainer/training_loop.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/base/durable_file.h"
#include "engine/base/libtorch_errors.h"
#include "engine/base/sha256.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/parameter_loader.h"
#include "trainer/dataset/data_order.h"
#include "trainer/pictures/sample_pictures.h"
#include "trainer/run/checkpoint_publisher.h"
#include "trainer/run/metrics_log.h"
#include "trainer/run/publish_policy.h"
#include "trainer/run/published_versions.h"
#include "trainer/run/state_files.h"
#include "trainer/run/training_state.h"
#include "trainer/step/denoising_chain.h"
#include "trainer/step/learning_rate.h"
#include "trainer/step/step_options.h"
#include "trainer/step/training_step.h"

namespace ddgan {
namespace {

constexpr char kMetricsFile[] = "metrics.jsonl";
constexpr char kPublishedFile[] = "published.json";
constexpr char kTrainerVersion[] = "ddgan-train " DDGAN_VERSION;
// Sample pictures show the same noise at every step, so that they can be
// compared.
constexpr uint64_t kSampleSeed = 7;
// Points of the plane, of which one alone says nothing.
constexpr int kSamplePoints = 2500;
// Pixels that are drawn at once, which bounds the memory of large images.
constexpr int64_t kSamplePixels = 64 * 32 * 32;

std::filesystem::path InitFromFolder(const TrainerOptions& options) {
  return std::filesystem::absolute(options.init_from).lexically_normal();
}

absl::Status RefuseInitFrom(const TrainerOptions& options,
                            absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("--init_from is '", options.init_from, "': ", why));
}

// The number of the version that the generator starts from, which need not be
// there any more; 0 if it starts from drawn weights.
absl::StatusOr<int64_t> FirstVersion(const TrainerOptions& options) {
  if (options.init_from.empty()) return 0;
  const std::optional<int64_t> version =
      ParseVersionName(InitFromFolder(options).filename().string());
  if (!version) return RefuseInitFrom(options, "must end in <model>/<version>");
  return *version;
}

// The weights of version `version`, which options.init_from names. Fails as
// ReadCheckpoint does; InvalidArgument if it is of another architecture.
absl::StatusOr<Parameters> ReadInitFrom(const TrainerOptions& options,
                                        int64_t version) {
  const std::filesystem::path model = InitFromFolder(options).parent_path();
  const absl::StatusOr<Checkpoint> checkpoint =
      ReadCheckpoint(model.parent_path(), model.filename().string(), version);
  if (!checkpoint.ok()) return checkpoint.status();
  if (checkpoint->config.model_config != options.model_config) {
    return RefuseInitFrom(
        options, "its architecture is not the one that the flags ask for");
  }
  return LoadParameters(*checkpoint);
}

// For comparisons between processes.
int64_t HashOf(const std::string& text) {
  constexpr int kHex = 16;
  return static_cast<int64_t>(
      std::stoull(Sha256Hex(text).substr(0, 16), nullptr, kHex));
}

// A mean over the steps since the last time somebody looked.
class Window {
 public:
  void Add(double value) {
    sum_ += value;
    ++count_;
  }
  int count() const { return count_; }
  double TakeMean() {
    const double mean = count_ == 0 ? 0 : sum_ / count_;
    sum_ = 0;
    count_ = 0;
    return mean;
  }

 private:
  double sum_ = 0;
  int count_ = 0;
};

class TrainingLoop {
 public:
  TrainingLoop(const TrainerOptions& options, const TrainingContext& context,
               int64_t first_version, const at::Device& device)
      : options_(options),
        data_(*context.data),
        group_(*context.group),
        clock_(context.clock),
        display_(context.display),
        metrics_(context.metrics),
        folder_(RunFolder(options)),
        first_version_(first_version),
        publish_intervals_(IntervalsOf(options)),
        steps_per_epoch_(
            static_cast<int64_t>(data_.size() / options.batch_size)),
        total_steps_(TotalSteps(options, data_.size())),
        device_(device),
        networks_(NetworksOf(options)),
        shapes_{data_.shape().channels, data_.shape().height,
                data_.shape().width, options.model_config.nz,
                options.model_config.num_timesteps},
        training_(
            networks_, StepOptionsOf(options),
            InitialParameters(PlanGeneratorParameters(networks_), options.seed),
            InitialParameters(PlanDiscriminatorParameters(networks_),
                              options.seed + 1),
            device),
        draws_(shapes_, options.seed,
               RowsOfProcess(options.batch_size, group_.size(), group_.rank(),
                             options.accumulate),
               device) {}

  absl::Status Run(const std::atomic<bool>& stop) {
    if (absl::Status status = Start(); !status.ok()) return status;
    started_ = window_start_ = last_publish_ = clock_->Now();
    absl::Status ending;
    while (steps_done_ < total_steps_) {
      const absl::Time begin = clock_->Now();
      Stop wish = OwnWish(stop);
      absl::StatusOr<at::Tensor> samples;
      if (wish == Stop::kGoOn) {
        samples = NextSamples();
        if (!samples.ok()) wish = Stop::kUnreadable;
      }
      const absl::StatusOr<Stop> decision = Agree(wish);
      if (!decision.ok()) return decision.status();
      if (*decision == Stop::kUnreadable) {
        return EndUnread(wish == Stop::kUnreadable
                             ? samples.status()
                             : absl::UnavailableError(
                                   "another process cannot read its images, "
                                   "and says why"));
      }
      if (*decision != Stop::kGoOn) {
        const std::string line =
            absl::StrCat("stopped after step ", steps_done_);
        Report(line);
        if (*decision == Stop::kAsked) ending = absl::CancelledError(line);
        break;
      }
      if (absl::Status status = Step(*samples, begin); !status.ok())
        return status;
      if (!IsFirst()) continue;
      // Each reports what goes wrong: it is no reason to lose the run.
      if (steps_done_ % options_.sample_every == 0) Survive(WriteSamples());
      if (steps_done_ % options_.save_every == 0) {
        if (absl::Status status = CheckWeights(); !status.ok()) return status;
        Survive(Save());
      }
      if (PublishIsDue(publish_intervals_, steps_done_,
                       clock_->Now() - last_publish_)) {
        if (absl::Status status = CheckWeights(); !status.ok()) return status;
        Survive(Publish());
      }
    }
    if (IsFirst() && steps_done_ > 0) {
      if (absl::Status status = Finish(); !status.ok()) ending = status;
    }
    return AgreeOnEnd(ending);
  }

 private:
  // In the order of their weight: the heaviest wish of any process counts.
  enum class Stop : int64_t {
    kGoOn = 0,
    kTimeIsUp = 1,
    kAsked = 2,
    kUnreadable = 3,  // The images of the next step.
  };

  static PublishIntervals IntervalsOf(const TrainerOptions& options) {
    PublishIntervals intervals;
    intervals.steps = options.publish_every;
    if (options.publish_minutes > 0)
      intervals.time = absl::Minutes(options.publish_minutes);
    return intervals;
  }

  bool IsFirst() const { return group_.rank() == 0; }

  void Report(const std::string& line) {
    if (display_ != nullptr) display_->Print(line);
  }

  void Survive(const absl::Status& status) {
    if (!status.ok()) {
      Report(absl::StrCat("step ", steps_done_, ": ", status.message(),
                          "; training goes on"));
    }
  }

  Stop OwnWish(const std::atomic<bool>& stop) const {
    if (stop) return Stop::kAsked;
    const bool time_is_up =
        options_.max_hours > 0 && IsFirst() &&
        clock_->Now() - started_ >= absl::Hours(options_.max_hours);
    return time_is_up ? Stop::kTimeIsUp : Stop::kGoOn;
  }

  // The same in all processes.
  absl::StatusOr<Stop> Agree(Stop wish) {
    const absl::StatusOr<std::vector<int64_t>> wishes =
        group_.AllGather(static_cast<int64_t>(wish));
    if (!wishes.ok()) return wishes.status();
    return static_cast<Stop>(*std::max_element(wishes->begin(), wishes->end()));
  }

  // Of the first process, after the last step. Whatever fails, the rest is
  // tried: a disk that has no room for a picture may have it for a version.
  absl::Status Finish() {
    if (absl::Status status = CheckWeights(); !status.ok()) return status;
    absl::Status status = Save();
    status.Update(Publish());
    status.Update(WriteSamples());
    return status;
  }

  // Before a step that cannot begin: what was done is saved, and `reason` is
  // the end.
  absl::Status EndUnread(const absl::Status& reason) {
    if (IsFirst() && steps_done_ > 0) {
      absl::Status saved = CheckWeights();
      if (saved.ok()) saved = Save();
      if (!saved.ok())
        Report(absl::StrCat("step ", steps_done_, ": ", saved.message()));
    }
    return AgreeOnEnd(reason);
  }

  // What this process ends with: what the first one does, which alone saves
  // and publishes, unless something is wrong with this one.
  absl::Status AgreeOnEnd(const absl::Status& own) {
    const absl::StatusOr<std::vector<int64_t>> codes =
        group_.AllGather(static_cast<int64_t>(own.code()));
    const bool wrong_here = !own.ok() && !absl::IsCancelled(own);
    if (IsFirst() || wrong_here) return own;
    if (!codes.ok()) return codes.status();
    const auto first = static_cast<absl::StatusCode>(codes->front());
    if (first == own.code()) return own;
    return absl::Status(first,
                        "rank 0 could not end the run as it should, and says "
                        "why");
  }

  // Processes that differ in this would wait for each other in vain, or add up
  // gradients of different things.
  absl::Status CheckSameRun() {
    const std::pair<const char*, int64_t> facts[] = {
        {"another configuration", HashOf(EffectiveConfigJson(options_))},
        {"another --accumulate", options_.accumulate},
        {"another --log_every", options_.log_every},
        {"a data set of another size", static_cast<int64_t>(data_.size())},
    };
    for (const auto& [difference, value] : facts) {
      const absl::StatusOr<std::vector<int64_t>> all = group_.AllGather(value);
      if (!all.ok()) return all.status();
      for (int rank = 1; rank < group_.size(); ++rank) {
        if ((*all)[rank] == all->front()) continue;
        return absl::InvalidArgumentError(absl::StrCat(
            "process group: rank ", rank, " has ", difference,
            " than rank 0: start all with the same options and data"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Start() {
    if (absl::Status status = CheckSameRun(); !status.ok()) return status;
    if (absl::Status status = training_.Join(&group_, clock_); !status.ok())
      return status;
    if (IsFirst()) {
      if (absl::Status status = OpenRunFolder(); !status.ok()) return status;
    }
    if (absl::Status status = ShareState(); !status.ok()) return status;
    // Steps that leave the generator alone leave the average alone, too.
    if (steps_done_ < options_.discriminator_head_start &&
        !training_.ema().values().defined()) {
      training_.ema().Update(training_.generator_parameters().values());
    }
    Report(absl::StrCat(
        "generator ", training_.generator_parameters().values().numel(),
        " parameters, discriminator ",
        training_.discriminator_parameters().values().numel(), ", ",
        data_.size(), " samples, ", steps_per_epoch_,
        " steps per epoch, batch ", options_.batch_size, ", ", group_.size(),
        " process(es), ",
        device_.is_cpu() ? absl::StrCat(at::get_num_threads(), " threads")
                         : device_.str()));
    return absl::OkStatus();
  }

  // Of the first process: its files, and the state to go on from.
  absl::Status OpenRunFolder() {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error) return PathError(error.value(), "create", folder_);
    if (absl::Status status = LoadState(); !status.ok()) return status;
    if (steps_done_ == 0 && !options_.init_from.empty()) {
      const absl::StatusOr<Parameters> weights =
          ReadInitFrom(options_, first_version_);
      if (!weights.ok()) return weights.status();
      const FlatParameters& generator = training_.generator_parameters();
      const Parameters parts = generator.Split(generator.values());
      for (size_t i = 0; i < parts.size(); ++i) parts[i].copy_((*weights)[i]);
    }
    absl::StatusOr<PublishedVersions> versions =
        PublishedVersions::Load(folder_ / kPublishedFile);
    if (!versions.ok()) return versions.status();
    versions_ = *std::move(versions);
    const std::vector<int64_t> published = versions_->versions();
    // The process that saved this state may have ended before it published.
    if (std::binary_search(published.begin(), published.end(),
                           first_version_ + steps_done_))
      published_ = steps_done_;
    if (metrics_ != nullptr) {
      metrics_->OnResumed(steps_done_, published.empty()
                                           ? std::nullopt
                                           : std::optional(published.back()));
    }
    absl::StatusOr<std::unique_ptr<MetricsLog>> log =
        MetricsLog::Open(folder_ / kMetricsFile, steps_done_);
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    return absl::OkStatus();
  }

  // From the newest state that is whole.
  absl::Status LoadState() {
    const absl::StatusOr<std::vector<int64_t>> states = ListStates(folder_);
    if (!states.ok()) return states.status();
    if (states->empty()) return absl::OkStatus();
    if (options_.resume == ResumePolicy::kNever) {
      return absl::FailedPreconditionError(absl::StrCat(
          (folder_ / StateFileName(states->front())).string(),
          " is there and --resume=never: remove it, or choose another "
          "--run_dir"));
    }
    absl::Status status;
    std::vector<int64_t> damaged;
    for (const int64_t state : *states) {
      status = LoadTrainingState(folder_, state, Identity(), training_);
      if (status.ok()) {
        steps_done_ = saved_ = state;
        Report(absl::StrCat("resumed after step ", steps_done_, " from ",
                            (folder_ / StateFileName(state)).string()));
        break;
      }
      // Only damage is a reason to go further back.
      if (!absl::IsDataLoss(status)) return status;
      Report(absl::StrCat(status.message(), "; looking for an older state"));
      damaged.push_back(state);
    }
    if (!status.ok()) return status;
    for (const int64_t state : damaged) {
      if (absl::Status aside = SetStateAside(folder_, state); !aside.ok())
        return aside;
    }
    return absl::OkStatus();
  }

  StateIdentity Identity() const {
    return {RunFingerprint(options_), static_cast<int64_t>(data_.size())};
  }

  // Every process goes on from what the first one has.
  absl::Status ShareState() {
    if (group_.size() == 1) return absl::OkStatus();
    const at::Tensor steps =
        at::full({1}, steps_done_, at::TensorOptions(device_).dtype(at::kLong));
    if (absl::Status status = group_.BroadcastFromFirst(steps); !status.ok())
      return status;
    steps_done_ = steps.item<int64_t>();
    if (steps_done_ == 0) {
      // The rest of the state is still the same zeros everywhere.
      if (absl::Status status = group_.BroadcastFromFirst(
              training_.generator_parameters().values());
          !status.ok()) {
        return status;
      }
      return group_.BroadcastFromFirst(
          training_.discriminator_parameters().values());
    }
    // Memory for the average, which no process but the first has yet.
    if (!training_.ema().values().defined())
      training_.ema().Update(training_.generator_parameters().values());
    for (const auto& [name, tensor] : TrainingStateTensors(training_)) {
      if (absl::Status status = group_.BroadcastFromFirst(tensor); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }

  double Rate(double base) const {
    if (options_.no_lr_decay) return base;
    const auto epoch = static_cast<int>(
        std::min<int64_t>(steps_done_ / steps_per_epoch_, options_.num_epoch));
    return CosineLearningRate(base, epoch, options_.num_epoch);
  }

  // This step's rows on the device.
  absl::StatusOr<at::Tensor> NextSamples() {
    const absl::StatusOr<absl::Span<const float>> rows =
        data_.Batch(steps_done_);
    if (!rows.ok()) return rows.status();
    const at::Tensor host =
        at::from_blob(const_cast<float*>(rows->data()),
                      {options_.batch_size / group_.size(), shapes_.channels,
                       shapes_.height, shapes_.width},
                      at::kFloat);
    return device_.is_cpu() ? host : host.to(device_);
  }

  // `begin` is when it began to wait for `samples`.
  absl::Status Step(const at::Tensor& samples, absl::Time begin) {
    const StepSettings settings = {steps_done_, Rate(options_.lr_g),
                                   Rate(options_.lr_d)};
    const absl::StatusOr<StepLosses> losses =
        training_.Run(samples, draws_.Draw(steps_done_), settings);
    if (!losses.ok()) return losses.status();
    const double discriminator =
        losses->discriminator_real + losses->discriminator_fake;
    if (!std::isfinite(discriminator) ||
        !std::isfinite(losses->generator.value_or(0)) ||
        !std::isfinite(losses->r1.value_or(0))) {
      return NotFinite(absl::StrCat("a loss is not finite (D ", discriminator,
                                    ", G ", losses->generator.value_or(0),
                                    ", R1 ", losses->r1.value_or(0), ")"));
    }
    ++steps_done_;
    const bool log =
        steps_done_ % options_.log_every == 0 || steps_done_ == total_steps_;
    if (log || group_.size() == 1) {
      if (absl::Status status = GatherDataTrouble(); !status.ok())
        return status;
    }
    if (IsFirst()) Tell(settings, *losses, begin, log);
    return absl::OkStatus();
  }

  // Of all processes: a step waits for the one that waits longest.
  absl::Status GatherDataTrouble() {
    const double wait = data_.WaitSeconds();
    const absl::StatusOr<std::vector<int64_t>> waits =
        group_.AllGather(absl::ToInt64Nanoseconds(
            absl::Seconds(wait - std::exchange(own_data_wait_, wait))));
    if (!waits.ok()) return waits.status();
    data_wait_ += 1e-9 * static_cast<double>(
                             *std::max_element(waits->begin(), waits->end()));
    const absl::StatusOr<std::vector<int64_t>> damaged =
        group_.AllGather(data_.DamagedSamples());
    if (!damaged.ok()) return damaged.status();
    damaged_samples_ =
        std::accumulate(damaged->begin(), damaged->end(), int64_t{0});
    return absl::OkStatus();
  }

  absl::Status NotFinite(const std::string& what) const {
    return absl::InternalError(absl::StrCat(
        "step ", steps_done_, ": ", what,
        saved_ > 0 ? absl::StrCat("; the state after step ", saved_,
                                  " is kept in ", folder_.string())
                   : "; no state was saved before"));
  }

  // Before weights leave the process: a loss shows those of the step before.
  absl::Status CheckWeights() const {
    for (const at::Tensor& values :
         {training_.generator_parameters().values(),
          training_.discriminator_parameters().values()}) {
      // One pass: the sum of squares of finite numbers that Adam can reach is
      // finite.
      if (!std::isfinite(values.square().sum().item<double>()))
        return NotFinite("a weight is not finite");
    }
    return absl::OkStatus();
  }

  // To log, display and metrics, the last step's numbers.
  void Tell(const StepSettings& settings, const StepLosses& losses,
            absl::Time begin, bool log) {
    const absl::Time now = clock_->Now();
    // A pass over all weights each, so not at every step.
    std::optional<double> d_norm, g_norm, ema_distance;
    if (log) {
      d_norm = Norm(training_.discriminator_parameters().gradient());
      const at::Tensor& values = training_.generator_parameters().values();
      if (losses.generator)
        g_norm = Norm(training_.generator_parameters().gradient());
      ema_distance = Norm(training_.ema().values() - values) /
                     std::max(1e-30, Norm(values));
    }
    window_d_.Add(losses.discriminator_real + losses.discriminator_fake);
    if (losses.generator) window_g_.Add(*losses.generator);
    if (losses.r1) last_r1_ = losses.r1;

    const GradientReducer::Totals sums = training_.reduction_totals();
    const double gradient_wait = absl::ToDoubleSeconds(sums.waited);
    if (metrics_ != nullptr) {
      metrics_->OnStep({.step = steps_done_,
                        .images = options_.batch_size,
                        .duration = now - begin,
                        .data_wait_seconds = data_wait_,
                        .damaged_images = damaged_samples_,
                        .gradient_wait_seconds = gradient_wait,
                        .gradient_bytes = sums.bytes,
                        .gradient_sums = sums.sums,
                        .early_gradient_sums = sums.early_sums,
                        .discriminator_real_loss = losses.discriminator_real,
                        .discriminator_fake_loss = losses.discriminator_fake,
                        .discriminator_rate = settings.discriminator_rate,
                        .generator_rate = settings.generator_rate,
                        .generator_loss = losses.generator,
                        .r1 = losses.r1,
                        .discriminator_gradient_norm = d_norm,
                        .generator_gradient_norm = g_norm,
                        .ema_distance = ema_distance});
    }
    Progress progress = progress_;
    progress.step = steps_done_;
    progress.total_steps = total_steps_;
    progress.images = steps_done_ * options_.batch_size;
    progress.elapsed = now - started_;
    progress.r1 = last_r1_;
    if (log) {
      const double seconds =
          std::max(1e-9, absl::ToDoubleSeconds(now - window_start_));
      progress.images_per_second = static_cast<double>(window_d_.count()) *
                                   options_.batch_size / seconds;
      progress.data_wait_share =
          std::clamp((data_wait_ - window_wait_) / seconds, 0.0, 1.0);
      progress.discriminator_loss = window_d_.TakeMean();
      progress.generator_loss = window_g_.TakeMean();
      progress.discriminator_gradient_norm = d_norm;
      progress.generator_gradient_norm = g_norm;
      std::optional<double> gradient_wait_share;
      if (group_.size() > 1) {
        gradient_wait_share = std::clamp(
            (gradient_wait - window_gradient_wait_) / seconds, 0.0, 1.0);
      }
      window_start_ = now;
      window_wait_ = data_wait_;
      window_gradient_wait_ = gradient_wait;
      progress_ = progress;
      Survive(log_->Append({.step = steps_done_,
                            .images = progress.images,
                            .time = now,
                            .d_loss_real = losses.discriminator_real,
                            .d_loss_fake = losses.discriminator_fake,
                            .g_loss = losses.generator,
                            .r1 = losses.r1,
                            .grad_norm_d = d_norm,
                            .grad_norm_g = g_norm,
                            .lr_g = settings.generator_rate,
                            .lr_d = settings.discriminator_rate,
                            .images_per_second = progress.images_per_second,
                            .data_wait_share = progress.data_wait_share,
                            .gradient_wait_share = gradient_wait_share,
                            .ema_distance = ema_distance,
                            .damaged_images = damaged_samples_}));
    }
    if (display_ != nullptr) display_->Update(progress);
  }

  static double Norm(const at::Tensor& vector) {
    return vector.norm().item<double>();
  }

  absl::Status Save() {
    if (saved_ == steps_done_) return absl::OkStatus();
    const absl::Time begin = clock_->Now();
    // No state may be ahead of its lines in the log.
    if (absl::Status status = log_->Sync(); !status.ok()) return status;
    if (absl::Status status =
            SaveTrainingState(folder_, training_, steps_done_, Identity());
        !status.ok()) {
      return status;
    }
    saved_ = steps_done_;
    if (metrics_ != nullptr) metrics_->OnStateSaved(clock_->Now() - begin);
    return RemoveOldStates(folder_);
  }

  DenoisingChain Sample(const Networks& networks, int count) const {
    const int64_t at_once = std::max<int64_t>(
        1, kSamplePixels / (int64_t{shapes_.height} * shapes_.width));
    return SampleChain(networks, training_.diffusion(), shapes_, kSampleSeed,
                       count, static_cast<int>(at_once), device_);
  }

  // From the averaged weights.
  absl::Status WriteSamples() {
    if (sampled_ == steps_done_) return absl::OkStatus();
    const bool points = networks_.kind == NetworkKind::kToyMlp;
    if (!points && options_.samples == 0) return absl::OkStatus();
    const std::unique_ptr<Networks> networks = CreateNetworks(
        networks_,
        training_.generator_parameters().Split(training_.ema().values()),
        training_.discriminator_parameters().tensors());
    const absl::StatusOr<SamplePictures> pictures =
        points ? DrawPoints(Sample(*networks, kSamplePoints), steps_done_)
               : DrawImages(Sample(*networks, options_.samples), data_.shape(),
                            steps_done_);
    if (!pictures.ok()) return pictures.status();
    for (const NamedPicture& picture : pictures->files) {
      if (absl::Status status =
              WriteFileDurably(folder_ / picture.name, picture.png);
          !status.ok()) {
        return status;
      }
    }
    if (!pictures->summary.empty())
      Report(absl::StrCat("step ", steps_done_, ": ", pictures->summary));
    sampled_ = steps_done_;
    return absl::OkStatus();
  }

  absl::Status Publish() {
    if (published_ == steps_done_) return absl::OkStatus();
    // Also when it fails: the next try is at the next interval.
    last_publish_ = clock_->Now();
    const int64_t version = first_version_ + steps_done_;
    const absl::StatusOr<ModelIdentity> identity = PublishWeights(version);
    // A run resumed from an older state comes past versions that it published
    // before.
    const bool present = absl::IsAlreadyExists(identity.status());
    if (metrics_ != nullptr) {
      metrics_->OnPublish(present         ? PublishResult::kPresent
                          : identity.ok() ? PublishResult::kPublished
                                          : PublishResult::kFailed,
                          version, last_publish_);
    }
    if (present) {
      Report(absl::StrCat("version ", version, " is published already"));
    } else if (!identity.ok()) {
      return identity.status();
    } else {
      Report(absl::StrCat("published ", options_.out, "/", options_.model, "/",
                          version));
      if (absl::Status status = versions_->Add(version, identity->digest);
          !status.ok())
        return status;
    }
    published_ = steps_done_;
    return RemoveOldVersions();
  }

  absl::StatusOr<ModelIdentity> PublishWeights(int64_t version) const {
    const absl::StatusOr<std::string> weights =
        SerializeEmaWeights(training_, PlanGeneratorParameters(networks_),
                            EffectiveConfigJson(options_));
    if (!weights.ok()) return weights.status();
    CheckpointConfig config;
    config.model_config = options_.model_config;
    Readers readers = Readers::kServers;
    if (networks_.kind == NetworkKind::kToyMlp) {
      config.model_config.resblock_type = options_.networks;
      config.model_config.image_size = 1;
      config.model_config.num_channels = shapes_.channels;
      config.model_config.num_channels_dae = options_.toy_width;
      readers = Readers::kNoServer;
    }
    config.model = options_.model;
    config.training_step = version;
    config.dataset = options_.dataset;
    config.created = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", last_publish_,
                                      absl::UTCTimeZone());
    config.trainer_version = kTrainerVersion;
    return PublishCheckpoint(options_.out, version, config, *weights, readers);
  }

  // Of a version that cannot be removed the report says why, and training goes
  // on.
  absl::Status RemoveOldVersions() {
    for (const int64_t version : VersionsToRemove(
             versions_->versions(),
             {options_.keep_published, options_.keep_published_every})) {
      const absl::Status removed = RemoveCheckpoint(
          options_.out, {options_.model, version, versions_->digest(version)});
      if (!removed.ok() && !absl::IsNotFound(removed))
        Report(absl::StrCat("version ", version, ": ", removed.message()));
      // What is gone or somebody else's by now is not tried again.
      if (removed.ok() || absl::IsNotFound(removed) ||
          absl::IsFailedPrecondition(removed)) {
        if (absl::Status status = versions_->Remove(version); !status.ok())
          return status;
      }
    }
    return absl::OkStatus();
  }

  const TrainerOptions& options_;
  BatchSource& data_;
  ProcessGroup& group_;
  Clock* const clock_;
  ProgressDisplay* const display_;
  TrainingMetrics* const metrics_;
  const std::filesystem::path folder_;
  const int64_t first_version_;
  const PublishIntervals publish_intervals_;
  const int64_t steps_per_epoch_;
  const int64_t total_steps_;
  const at::Device device_;
  const NetworksConfig networks_;
  const DrawShapes shapes_;

  TrainingStep training_;
  TrainingDraws draws_;
  int64_t steps_done_ = 0;
  // Steps done at the last of each, so that the end of a run repeats nothing.
  int64_t published_ = 0;
  int64_t saved_ = 0;
  int64_t sampled_ = 0;

  absl::Time started_;
  absl::Time last_publish_;  // Or the start.
  // Of the first process, from Start on.
  std::optional<PublishedVersions> versions_;
  std::unique_ptr<MetricsLog> log_;

  double own_data_wait_ = 0;  // Seconds, as far as they were gathered.
  // Of all processes, since the start. With several, as of the last line of the
  // log.
  double data_wait_ = 0;  // Seconds.
  int64_t damaged_samples_ = 0;

  // Since the last line of the log.
  absl::Time window_start_;
  double window_wait_ = 0;
  double window_gradient_wait_ = 0;
  Window window_d_;
  Window window_g_;
  std::optional<double> last_r1_;
  Progress progress_;  // As of that line.
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
  if (options.threads > 0) at::set_num_threads(options.threads);
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
    const absl::StatusOr<int64_t> first_version = FirstVersion(options);
    if (!first_version.ok()) return first_version.status();
    return TrainingLoop(options, context, *first_version, device).Run(stop);
  });
}

}  // namespace ddgan

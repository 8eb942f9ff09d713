// ddgan-train: trains a denoising diffusion GAN and publishes versions of it
// into a model directory, where ddgan-server finds them.

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/base/clock.h"
#include "engine/base/cuda_devices.h"
#include "engine/base/durable_file.h"
#include "engine/base/openmp_waiting.h"
#include "engine/base/process_signals.h"
#include "engine/base/progress_bar.h"
#include "engine/base/standard_output.h"
#include "trainer/dataset/batch_loader.h"
#include "trainer/dataset/data_order.h"
#include "trainer/dataset/gaussian_mixture.h"
#include "trainer/dataset/open_dataset.h"
#include "trainer/distributed/process_environment.h"
#include "trainer/distributed/process_group.h"
#include "trainer/options/train_command_line.h"
#include "trainer/options/trainer_options.h"
#include "trainer/options/training_config.h"
#include "trainer/run/metrics_page.h"
#include "trainer/run/progress_display.h"
#include "trainer/run/training_metrics.h"
#include "trainer/step/cpu_settings.h"
#include "trainer/training_loop.h"

namespace ddgan {
namespace {

std::atomic<bool> stop_requested = false;
// Of a stop that another process of the run was asked for: as if by SIGTERM.
std::atomic<int> stop_signal = SIGTERM;

// The loop looks at stop_requested between its steps.
std::atomic<bool> loop_begun = false;

extern "C" void RequestStop(int signal) {
  // Nothing to save yet: data sets are opened and other processes waited for.
  if (!loop_begun) _exit(128 + signal);
  stop_signal = signal;
  stop_requested = true;
}

// Points or images; `dataset` keeps the latter's data set alive.
absl::StatusOr<std::unique_ptr<BatchSource>> OpenData(
    const TrainerOptions& options, const ProcessEnvironment& environment,
    ProgressDisplay* display, std::unique_ptr<ImageDataset>* dataset) {
  std::vector<uint32_t> rows =
      RowsOfProcess(options.batch_size, environment.size, environment.rank,
                    options.accumulate);
  if (options.dataset == "25_gaussians") {
    return GaussianMixture::Create({.seed = options.seed,
                                    .global_batch = options.batch_size,
                                    .rows = std::move(rows)});
  }
  const auto print = [display](const std::string& line) {
    if (display != nullptr) display->Print(line);
  };
  // Of a set with many, only some are named. One call at a time.
  const auto name_damaged = [print, rank = environment.rank,
                             count = int64_t{0}](
                                size_t, const absl::Status& status) mutable {
    constexpr int64_t kNamed = 100;
    if (++count > kNamed && count % 1000 != 0) return;
    const std::string line = absl::StrCat(
        absl::IsFailedPrecondition(status) ? "not used" : "damaged",
        ", another takes its place: ", status.message(),
        count < kNamed ? ""
                       : absl::StrCat(" (", count,
                                      " so far; from here on only each "
                                      "thousandth is named)"));
    if (rank == 0) {
      print(line);
    } else {
      std::cerr << absl::StrCat("ddgan-train: rank ", rank, ": ", line, "\n");
    }
  };
  ImageFolderOptions folder_options;
  folder_options.progress = [&print](const ArchiveProgress& progress) {
    print(absl::StrCat("reading the archive: ", progress.images, " images, ",
                       progress.memory_bytes >> 20, " MiB"));
  };
  folder_options.print = print;
  folder_options.classes = ClassNames(options);
  absl::StatusOr<std::unique_ptr<ImageDataset>> opened = OpenDataset(
      {.kind = options.dataset,
       .path = options.data,
       .image_size = options.model_config.image_size,
       .num_channels = options.model_config.num_channels,
       .limit = options.dataset_limit,
       .seed = options.seed,
       .conversion =
           options.convert == "rgb" ? Conversion::kToRgb : Conversion::kRefuse},
      folder_options);
  if (!opened.ok()) return opened.status();
  *dataset = *std::move(opened);
  // In the flag's words, before the loader refuses it in its own.
  if (absl::Status status = CheckHasABatch(options, (*dataset)->size());
      !status.ok()) {
    return status;
  }
  return BatchLoader::Create(dataset->get(),
                             {.seed = options.seed,
                              .batch_size = options.batch_size,
                              .rows = std::move(rows),
                              .flip = options.flip,
                              .threads = options.data_threads,
                              .prefetch = 2},
                             RealClock(), name_damaged);
}

ProgressDisplay::Options DisplayOptions(const TrainerOptions& options) {
  return {.mode = options.progress,
          .is_terminal = isatty(STDOUT_FILENO) != 0,
          .columns = [] { return TerminalColumns(STDOUT_FILENO); },
          .batch_size = options.batch_size,
          .log_every = options.log_every};
}

absl::Status Train(const TrainerOptions& options,
                   const ProcessEnvironment& environment) {
  const bool first = environment.rank == 0;
  // Before anything that takes long.
  if (options.device == "cuda") {
    const int gpus = CudaDeviceCount();
    if (environment.local_rank >= gpus) {
      return absl::InvalidArgumentError(
          absl::StrCat("--device is cuda, and this process needs GPU ",
                       environment.local_rank, ", but there are ", gpus,
                       " (a build without CUDA sees none)"));
    }
  }
  std::unique_ptr<ProgressDisplay> display;
  if (first) {
    for (const std::string& folder : {options.out, RunFolder(options)}) {
      if (absl::Status status = CheckWritable(folder); !status.ok())
        return status;
    }
    std::cout << EffectiveConfigJson(options) << std::endl;
    display = std::make_unique<ProgressDisplay>(
        DisplayOptions(options),
        [told = false](const std::string& text) mutable {
          if (std::cout << text << std::flush || told) return;
          told = true;
          std::cerr << "ddgan-train: stdout takes nothing any more; the run "
                       "goes on without\n";
        },
        RealClock());
  }
  std::unique_ptr<ImageDataset> dataset;
  const absl::StatusOr<std::unique_ptr<BatchSource>> data =
      OpenData(options, environment, display.get(), &dataset);
  if (!data.ok()) return data.status();

  std::unique_ptr<TrainingMetrics> metrics;
  std::unique_ptr<MetricsPage> page;
  if (first) {
    metrics = std::make_unique<TrainingMetrics>(
        DDGAN_VERSION, TotalSteps(options, (*data)->size()));
  }
  if (first && !options.metrics_listen.empty()) {
    absl::StatusOr<std::unique_ptr<MetricsPage>> started = MetricsPage::Start(
        options.metrics_listen, [&metrics] { return metrics->Text(); });
    if (!started.ok()) return started.status();
    page = *std::move(started);
    display->Print(absl::StrCat("metrics on port ", page->port()));
  }

  const absl::StatusOr<std::unique_ptr<ProcessGroup>> group =
      ProcessGroup::Join(environment,
                         options.device == "cuda" ? CollectiveBackend::kNccl
                                                  : CollectiveBackend::kGloo,
                         absl::Seconds(options.distributed_timeout_s));
  if (!group.ok()) return group.status();
  loop_begun = true;
  const absl::Status status = RunTraining(options,
                                          {.data = data->get(),
                                           .group = group->get(),
                                           .local_rank = environment.local_rank,
                                           .clock = RealClock(),
                                           .display = display.get(),
                                           .metrics = metrics.get()},
                                          stop_requested);
  if (display != nullptr) {
    if (dataset != nullptr && !dataset->Remarks().empty()) {
      display->Print(absl::StrCat(options.data, ": ", dataset->Remarks()));
    }
    display->Finish();
  }
  return status;
}

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "ddgan-train: " << status.message() << "\n";
  return exit_code;
}

// Does what the command line asks for; the exit code.
int Run(const std::vector<std::string>& arguments) {
  constexpr int kFailed = 1;
  constexpr int kWrongUsage = 2;
  const absl::StatusOr<TrainCommandLine> line =
      ParseTrainCommandLine(arguments);
  if (!line.ok()) return Fail(line.status(), kWrongUsage);
  if (!line->text.empty()) {
    std::cout << line->text;
    return EndOfOutput("ddgan-train");
  }
  if (line->list) {
    const absl::StatusOr<std::string> table = BuiltinConfigTable();
    if (!table.ok()) return Fail(table.status(), kFailed);
    std::cout << *table;
    return EndOfOutput("ddgan-train");
  }
  const absl::StatusOr<TrainerOptions> options =
      ResolveOptions(line->config, line->flags);
  if (!options.ok()) return Fail(options.status(), kWrongUsage);
  const absl::StatusOr<ProcessEnvironment> environment =
      ReadProcessEnvironment(ReadEnvironmentVariable);
  if (!environment.ok()) return Fail(environment.status(), kFailed);
  if (absl::Status status = ValidateTrainerOptions(*options, environment->size);
      !status.ok()) {
    return Fail(status, kWrongUsage);
  }
  const absl::Status status = Train(*options, *environment);
  // What a shell reports of a program that a signal ended. Not 0: whoever runs
  // it, a Kubernetes Job for one, must not take the run for complete.
  if (absl::IsCancelled(status)) return 128 + stop_signal;
  return status.ok() ? 0 : Fail(status, kFailed);
}

// A trainer owns its cores: threads that spin between two operators save the
// wake-up that a step of small operators pays hundreds of times. Several on one
// machine would spin on each other's.
const char* OpenMpWaiting() {
  const absl::StatusOr<ProcessEnvironment> environment =
      ReadProcessEnvironment(ReadEnvironmentVariable);
  const bool alone = !environment.ok() || environment->size == 1;
  return alone ? "ACTIVE" : "PASSIVE";
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  ddgan::IgnoreBrokenPipes();
  ddgan::ChooseOpenMpWaiting("ddgan-train", ddgan::OpenMpWaiting(), argv);
  if (!ddgan::IsIgnored(SIGHUP)) std::signal(SIGHUP, ddgan::RequestStop);
  std::signal(SIGINT, ddgan::RequestStop);
  std::signal(SIGTERM, ddgan::RequestStop);
  ddgan::SetUpCpuForTraining();

  return ddgan::Run(std::vector<std::string>(argv + 1, argv + argc));
}

// ddgan-train: trains a denoising diffusion GAN and publishes versions of it
// into a model directory, where ddgan-server finds them.

#include <malloc.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/checkpoint/durable_file.h"
#include "engine/clock.h"
#include "trainer/command_line.h"
#include "trainer/dataset/mnist_dataset.h"
#include "trainer/trainer_options.h"
#include "trainer/training_config.h"
#include "trainer/training_loop.h"

namespace ddgan {
namespace {

std::atomic<bool> stop_requested = false;

extern "C" void RequestStop(int) { stop_requested = true; }

absl::Status Train(const TrainerOptions& options) {
  if (absl::Status status = ValidateTrainerOptions(options, /*world_size=*/1);
      !status.ok()) {
    return status;
  }
  if (options.dataset != "mnist") {
    return absl::UnimplementedError(absl::StrCat(
        "--dataset is \"", options.dataset, "\", this build reads only mnist"));
  }
  // Before anything that takes long.
  for (const std::string& folder : {options.out, RunFolder(options)}) {
    if (absl::Status status = CheckWritable(folder); !status.ok())
      return status;
  }
  const absl::StatusOr<std::unique_ptr<MnistDataset>> dataset =
      MnistDataset::Load(options.data);
  if (!dataset.ok()) return dataset.status();
  std::cout << EffectiveConfigJson(options) << std::endl;
  return RunTraining(options, **dataset, stop_requested, RealClock(),
                     [](const std::string& line) {
                       std::cout << line << "\n" << std::flush;
                     });
}

// What the command line asks for.
absl::Status Run(const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> line = ParseCommandLine(arguments);
  if (!line.ok()) return line.status();
  if (line->help) {
    std::cout << HelpText();
    return absl::OkStatus();
  }
  if (line->list) {
    const absl::StatusOr<std::string> table = BuiltinConfigTable();
    if (table.ok()) std::cout << *table;
    return table.status();
  }
  const absl::StatusOr<TrainerOptions> options =
      ResolveOptions(line->config, line->flags);
  if (!options.ok()) return options.status();
  return Train(*options);
}

// libgomp reads its waiting policy when it is loaded, before main.
void ChooseOpenMpPolicy(char** argv) {
  // A trainer owns its cores: threads that spin between two operators save the
  // wake-up that a step of small operators pays hundreds of times.
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "ACTIVE", 1);
  execv("/proc/self/exe", argv);
  std::perror("ddgan-train: cannot restart with OMP_WAIT_POLICY=ACTIVE");
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  ddgan::ChooseOpenMpPolicy(argv);
  std::signal(SIGINT, ddgan::RequestStop);
  std::signal(SIGTERM, ddgan::RequestStop);
  // Freed buffers of a step stay with the process for the next one, instead of
  // going back to the kernel and being zeroed page by page again.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  // Gradients that sink below 1e-38 count as zero: denormal arithmetic is some
  // tens of times slower. Worker threads inherit this.
  _mm_setcsr(_mm_getcsr() | 0x8040);

  const absl::Status status =
      ddgan::Run(std::vector<std::string>(argv + 1, argv + argc));
  if (!status.ok()) {
    std::cerr << "ddgan-train: " << status.message() << "\n";
    return 1;
  }
  return 0;
}

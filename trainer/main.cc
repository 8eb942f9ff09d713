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

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/clock.h"
#include "trainer/dataset/mnist_dataset.h"
#include "trainer/trainer_options.h"
#include "trainer/training_loop.h"

ABSL_FLAG(std::string, dataset, "mnist", "data set: mnist");
ABSL_FLAG(std::string, data, "",
          "folder with the data set's files (required); for mnist the IDX "
          "files, gzipped or not");
ABSL_FLAG(std::string, out, "", "model root to publish into (required)");
ABSL_FLAG(std::string, model, "mnist", "name to publish under");
ABSL_FLAG(std::string, run_dir, "",
          "folder for the training state and the sample grids; default "
          "<out>/.training-<model>");
ABSL_FLAG(std::string, resume, "auto",
          "auto: go on from the state in the run folder if there is one; "
          "never: an existing state is an error");

ABSL_FLAG(std::string, init_from, "",
          "folder of a published version to start the generator from; new "
          "versions count on from its number");
ABSL_FLAG(int64_t, discriminator_head_start, 0,
          "steps at the start in which the discriminator learns alone; some "
          "hundred are wanted with --init_from");

ABSL_FLAG(int, num_channels_dae, 128, "generator: base width nf, [4, 1024]");
ABSL_FLAG(std::vector<std::string>, ch_mult,
          std::vector<std::string>({"1", "2", "2", "2"}),
          "generator: width factor of each resolution");
ABSL_FLAG(int, num_res_blocks, 2, "generator: blocks per resolution, [1, 8]");
ABSL_FLAG(std::vector<std::string>, attn_resolutions,
          std::vector<std::string>({"16"}),
          "generator: resolutions with attention");
ABSL_FLAG(int, nz, 100, "latent size, [1, 4096]");
ABSL_FLAG(int, z_emb_dim, 256, "style size, [1, 4096]");
ABSL_FLAG(int, n_mlp, 3, "hidden layers of the latent mapping, [1, 16]");
ABSL_FLAG(int, num_timesteps, 4, "denoising steps T, [1, 16]");
ABSL_FLAG(int, ngf, 64, "discriminator: base width, [1, 512]");
ABSL_FLAG(int, t_emb_dim, 256, "discriminator: time embedding, even");

ABSL_FLAG(int, batch_size, 128, "images per step: up to 4, or a multiple of 4");
ABSL_FLAG(int, num_epoch, 1200,
          "epochs over which the learning rates fall to 1e-5");
ABSL_FLAG(int64_t, max_steps, 0,
          "stop after this many steps, earlier runs counted in; 0: after "
          "num_epoch + 1 epochs");
ABSL_FLAG(double, lr_g, 1.5e-4, "learning rate of the generator");
ABSL_FLAG(double, lr_d, 1e-4, "learning rate of the discriminator");
ABSL_FLAG(bool, no_lr_decay, false, "keep the learning rates constant");
ABSL_FLAG(double, r1_gamma, 0.05, "weight of the R1 penalty");
ABSL_FLAG(int, lazy_reg, 1, "compute R1 every so many steps");
ABSL_FLAG(double, ema_decay, 0.9999, "decay of the served average, [0, 1)");
ABSL_FLAG(uint64_t, seed, 1024, "of weights, data order and noise");

ABSL_FLAG(int, threads, 0, "CPU threads; 0: one per core");
ABSL_FLAG(int64_t, log_every, 25, "steps between progress lines");
ABSL_FLAG(int64_t, sample_every, 500, "steps between sample grids");
ABSL_FLAG(int64_t, save_every, 500, "steps between saved states");
ABSL_FLAG(int64_t, publish_every, 1000, "steps between published versions");
ABSL_FLAG(double, publish_minutes, 0,
          "also publish when the last version is so many minutes old, which "
          "bounds how old the live model is however slow the steps are; 0: by "
          "steps only");
ABSL_FLAG(
    int64_t, keep_published, 0,
    "of the versions that this run published, how many stay on disk, the "
    "newest; older ones are removed. Keep as many as you may want to roll "
    "back to. 0: all, since what was removed unasked cannot be had again");
ABSL_FLAG(int64_t, keep_published_every, 0,
          "with --keep_published: the first version at or after each multiple "
          "of so many steps stays for ever, too; 0: none does");

namespace ddgan {
namespace {

std::atomic<bool> stop_requested = false;

extern "C" void RequestStop(int) { stop_requested = true; }

absl::StatusOr<std::vector<int>> ParseInts(
    const char* flag, const std::vector<std::string>& items) {
  std::vector<int> values;
  for (const std::string& item : items) {
    if (item.empty()) continue;
    int value = 0;
    if (!absl::SimpleAtoi(item, &value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, ": '", item, "' is not a whole number"));
    }
    values.push_back(value);
  }
  return values;
}

absl::StatusOr<TrainerOptions> OptionsFromFlags() {
  TrainerOptions options;
  options.dataset = absl::GetFlag(FLAGS_dataset);
  options.data = absl::GetFlag(FLAGS_data);
  options.out = absl::GetFlag(FLAGS_out);
  options.model = absl::GetFlag(FLAGS_model);
  options.run_dir = absl::GetFlag(FLAGS_run_dir);
  const std::string resume = absl::GetFlag(FLAGS_resume);
  if (resume != "auto" && resume != "never") {
    return absl::InvalidArgumentError(
        absl::StrCat("--resume is '", resume, "', must be auto or never"));
  }
  options.resume =
      resume == "auto" ? ResumePolicy::kAuto : ResumePolicy::kNever;

  options.init_from = absl::GetFlag(FLAGS_init_from);
  options.discriminator_head_start =
      absl::GetFlag(FLAGS_discriminator_head_start);

  ModelConfig& config = options.model_config;
  const auto ch_mult = ParseInts("ch_mult", absl::GetFlag(FLAGS_ch_mult));
  if (!ch_mult.ok()) return ch_mult.status();
  config.ch_mult = *ch_mult;
  const auto attention =
      ParseInts("attn_resolutions", absl::GetFlag(FLAGS_attn_resolutions));
  if (!attention.ok()) return attention.status();
  config.attn_resolutions = *attention;
  config.num_channels_dae = absl::GetFlag(FLAGS_num_channels_dae);
  config.num_res_blocks = absl::GetFlag(FLAGS_num_res_blocks);
  config.nz = absl::GetFlag(FLAGS_nz);
  config.z_emb_dim = absl::GetFlag(FLAGS_z_emb_dim);
  config.n_mlp = absl::GetFlag(FLAGS_n_mlp);
  config.num_timesteps = absl::GetFlag(FLAGS_num_timesteps);
  options.ngf = absl::GetFlag(FLAGS_ngf);
  options.t_emb_dim = absl::GetFlag(FLAGS_t_emb_dim);

  options.batch_size = absl::GetFlag(FLAGS_batch_size);
  options.num_epoch = absl::GetFlag(FLAGS_num_epoch);
  options.max_steps = absl::GetFlag(FLAGS_max_steps);
  options.lr_g = absl::GetFlag(FLAGS_lr_g);
  options.lr_d = absl::GetFlag(FLAGS_lr_d);
  options.no_lr_decay = absl::GetFlag(FLAGS_no_lr_decay);
  options.r1_gamma = absl::GetFlag(FLAGS_r1_gamma);
  options.lazy_reg = absl::GetFlag(FLAGS_lazy_reg);
  options.ema_decay = absl::GetFlag(FLAGS_ema_decay);
  options.seed = absl::GetFlag(FLAGS_seed);

  options.threads = absl::GetFlag(FLAGS_threads);
  options.log_every = absl::GetFlag(FLAGS_log_every);
  options.sample_every = absl::GetFlag(FLAGS_sample_every);
  options.save_every = absl::GetFlag(FLAGS_save_every);
  options.publish_every = absl::GetFlag(FLAGS_publish_every);
  options.publish_minutes = absl::GetFlag(FLAGS_publish_minutes);
  options.keep_published = absl::GetFlag(FLAGS_keep_published);
  options.keep_published_every = absl::GetFlag(FLAGS_keep_published_every);
  return options;
}

absl::Status Train() {
  absl::StatusOr<TrainerOptions> options = OptionsFromFlags();
  if (!options.ok()) return options.status();
  options->model_config.num_channels = 1;  // MNIST, padded by 2 on each side.
  options->model_config.image_size = 32;
  if (absl::Status status = ValidateTrainerOptions(*options); !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::unique_ptr<MnistDataset>> dataset =
      MnistDataset::Load(options->data);
  if (!dataset.ok()) return dataset.status();
  return RunTraining(*options, **dataset, stop_requested, RealClock(),
                     [](const std::string& line) {
                       std::cout << line << "\n" << std::flush;
                     });
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
  absl::SetProgramUsageMessage(
      "trains a denoising diffusion GAN and publishes versions of it into a "
      "model directory.\n\n"
      "  ddgan-train --dataset=mnist --data=DIR --out=MODEL_ROOT\n\n"
      "Interrupt it at any time (Ctrl-C, SIGTERM): it saves its state, "
      "publishes, and the same command goes on from there. Defaults are the "
      "published ones for CIFAR-10; trainer/README.md has settings for a "
      "CPU.\n--help=main lists the flags.");
  absl::ParseCommandLine(argc, argv);
  std::signal(SIGINT, ddgan::RequestStop);
  std::signal(SIGTERM, ddgan::RequestStop);
  // Freed buffers of a step stay with the process for the next one, instead of
  // going back to the kernel and being zeroed page by page again.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  // Gradients that sink below 1e-38 count as zero: denormal arithmetic is some
  // tens of times slower. Worker threads inherit this.
  _mm_setcsr(_mm_getcsr() | 0x8040);

  const absl::Status status = ddgan::Train();
  if (!status.ok()) {
    std::cerr << "ddgan-train: " << status.message() << "\n";
    return 1;
  }
  return 0;
}

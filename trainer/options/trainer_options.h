// Everything that a training run can be told. No LibTorch. Flags, defaults by
// data set and configuration files: trainer_option_table.h, training_config.h.
#ifndef DDGAN_TRAINER_OPTIONS_TRAINER_OPTIONS_H_
#define DDGAN_TRAINER_OPTIONS_TRAINER_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/model/model_config.h"

namespace ddgan {

enum class ResumePolicy {
  kAuto,   // Go on from the run folder's state if there is one.
  kNever,  // Start afresh; a state that is there is an error, not overwritten.
};

enum class ProgressMode {
  kAuto,  // A bar on a terminal, else lines.
  kBar,
  kLines,
};

struct TrainerOptions {
  // "mnist", "stacked_mnist", "cifar10", "image_folder", "lmdb" or
  // "25_gaussians".
  std::string dataset = "mnist";
  std::string data;             // Folder or file of the data set; none for
                                // 25_gaussians.
  std::string out;              // Model root to publish into.
  std::string model = "mnist";  // Published as <out>/<model>/<step>.
  std::string run_dir;          // Training state and sample grids; default
                                // <out>/.training-<model>.
  ResumePolicy resume = ResumePolicy::kAuto;

  // Start the generator and its average from a published version, the folder
  // <root>/<model>/<version>, whose architecture must be the same. New versions
  // count on from its number. Empty: from drawn weights.
  std::string init_from;
  // Steps at the start in which the discriminator learns alone, so that one
  // that knows nothing does not spoil a generator that does. [0, 1e9]; 0 with
  // the denoising objective.
  int64_t discriminator_head_start = 0;

  // Generator, schedule, objective and sampler. image_size and num_channels are
  // the data set's; points have none of the U-Net's options.
  ModelConfig model_config;
  int ngf = 64;         // Discriminator's base width. [1, 512]
  int t_emb_dim = 256;  // Its time embedding, even. [4, 4096]

  // "ncsnpp": the networks of engine/MODEL.md 3 and 4. "toy_mlp": three fully
  // connected layers each, for points in the plane.
  std::string networks = "ncsnpp";
  int toy_width = 512;  // Of toy_mlp's hidden layers. [4, 4096]

  // "refuse" or "rgb": what becomes of gray pictures, and of those with alpha,
  // in a set of RGB images.
  std::string convert = "refuse";
  bool flip = false;  // Mirror every other image, at random.
  // Names of folders, with commas between them; only the pictures that lie in
  // these. Empty: all. Of image_folder.
  std::string classes;
  int64_t dataset_limit = 0;  // Only the first so many images; 0: all.
  int data_threads = 1;       // That decode images. [1, 64]

  // Images per step of all processes together: at most 4, or a multiple of 4.
  // Split over processes and micro-batches, each part is a multiple of 4. Any
  // number without the discriminator of images. [1, 65536]
  int batch_size = 128;
  // Micro-batches per step and process, whose gradients add up: less memory,
  // the same step but for rounding. [1, 1024]
  int accumulate = 1;
  int num_epoch = 1200;  // Horizon of the learning rate schedule. [1, 1e6]
  int64_t max_steps =
      0;                 // Stop after this many; 0: after num_epoch + 1 epochs.
  double lr_g = 1.5e-4;  // (0, 1]
  double lr_d = 1e-4;    // (0, 1]
  bool no_lr_decay = false;
  double r1_gamma = 0.05;     // [0, 1e6]
  int lazy_reg = 1;           // R1 every so many steps. [1, 1e6]
  double ema_decay = 0.9999;  // [0, 1)
  uint64_t seed = 1024;

  std::string device = "cpu";         // "cpu" or "cuda".
  std::string precision = "float32";  // "float32", "tf32" or "bfloat16".
  double max_hours = 0;  // Stop after so many hours of this run; 0: never.
                         // [0, 1e5]
  // Address for /metrics, host:port; empty: none.
  std::string metrics_listen;
  // Seconds after which a process gives up waiting for the others. [1, 86400]
  double distributed_timeout_s = 300;
  ProgressMode progress = ProgressMode::kAuto;

  int threads = 0;         // LibTorch's CPU threads; 0: one per core. [0, 256]
  int64_t log_every = 25;  // Steps between progress lines. >= 1
  int64_t sample_every = 500;    // Steps between sample pictures. >= 1
  int samples = 64;              // Images on one. [0, 1024]
  int64_t save_every = 500;      // Steps between saved states. >= 1
  int64_t publish_every = 1000;  // Steps between published versions. >= 1
  // Also publish when the last version is so many minutes old; 0: by steps
  // only. [0, 1e6]
  double publish_minutes = 0;
  // Which of the versions that this run published stay on disk: the last so
  // many, 0: all [0, 1e9]; and the first at or after each multiple of so many
  // steps, 0: none for that reason [0, 1e9].
  int64_t keep_published = 0;
  int64_t keep_published_every = 0;
};

// InvalidArgument that names the flag, its value and the allowed range, for a
// run of `world_size` processes, >= 1. Files are not looked at.
absl::Status ValidateTrainerOptions(const TrainerOptions& options,
                                    int world_size);

// InvalidArgument unless a data set of so many samples has a whole batch.
absl::Status CheckHasABatch(const TrainerOptions& options, size_t samples);

// The names that --classes lists.
std::vector<std::string> ClassNames(const TrainerOptions& options);

// The folder of the run's own files.
std::string RunFolder(const TrainerOptions& options);

// What shapes the result, as a JSON object that a configuration file can be:
// keys in order, one a line. Paths (but --init_from), the machine, and how
// often something is reported or saved are not in it.
std::string EffectiveConfigJson(const TrainerOptions& options);

// Everything that must not change when a run is resumed, as one line of JSON. A
// run may go on with other learning rates, R1 penalty and average, another end,
// sampler or precision, and another number of processes or micro-batches.
std::string RunFingerprint(const TrainerOptions& options);

// In which options two fingerprints differ, with both values, as part of a
// sentence: "batch_size was 32 and is 64, seed was 1 and is 2". Empty if in
// none. An option that `saved` lacks, since an earlier trainer did not have it,
// had its default; one that only an earlier trainer held fast may differ.
// `saved` may be hostile: at most 8 options are named, values
// cut short.
std::string DescribeFingerprintDifference(const std::string& saved,
                                          const std::string& current);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_OPTIONS_TRAINER_OPTIONS_H_

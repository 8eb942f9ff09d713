#include "trainer/options/trainer_option_table.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "engine/base/strict_json.h"

namespace ddgan {
namespace {

using nlohmann::json;

constexpr double kMaxCount = 1e9;
constexpr OptionEffect kNone = OptionEffect::kNone;
constexpr OptionEffect kResult = OptionEffect::kResult;
// A default that training_config.h fills in.
constexpr char kOfDataset[] = "the data set's";

constexpr char kData[] = "Data";
constexpr char kOutput[] = "Output and resuming";
constexpr char kGenerator[] = "Generator and schedule";
constexpr char kDiscriminator[] = "Discriminator";
constexpr char kTraining[] = "Training";
constexpr char kMachine[] = "Machine";
constexpr char kReports[] = "Reports, states and versions";

struct Row {
  Option option;
  // What an option is that nobody has thought about.
  OptionEffect effect = OptionEffect::kIdentity;
};

std::vector<Row> DataRows(TrainerOptions* options) {
  return {
      {{"dataset", kData, "",
        OneOf(&options->dataset, {"mnist", "stacked_mnist", "cifar10",
                                  "image_folder", "lmdb", "25_gaussians"}),
        kAny, "data set"}},
      {{"data", kData, "PATH", &options->data, kAny,
        "folder or file of the data set", "required but for 25_gaussians"},
       kNone},
      {{"classes", kData, "NAME[,NAME...]", &options->classes, kAny,
        "of image_folder: only pictures in folders of these names", "all"}},
      {{"dataset_limit", kData, "", &options->dataset_limit,
        Between(0, kMaxCount), "only the first so many images; 0: all"}},
      {{"convert", kData, "", OneOf(&options->convert, {"refuse", "rgb"}), kAny,
        "what becomes of gray pictures and of those with alpha in a set of RGB "
        "images; refuse: they are not used; rgb: gray is repeated in all "
        "channels, alpha is put on black"}},
      {{"flip", kData, "", &options->flip, kAny,
        "mirror every other image, at random"}},
      {{"data_threads", kData, "", &options->data_threads, Between(1, 64),
        "threads that decode images"},
       kNone},
  };
}

std::vector<Row> OutputRows(TrainerOptions* options) {
  return {
      {{"out", kOutput, "DIR", &options->out, kAny,
        "model root to publish into", kRequired},
       kNone},
      {{"model", kOutput, "NAME", &options->model, kAny,
        "name to publish under, as <out>/<model>/<step>", kOfDataset}},
      {{"run_dir", kOutput, "DIR", &options->run_dir, kAny,
        "folder for the training state and the sample grids",
        "<out>/.training-<model>"},
       kNone},
      {{"resume", kOutput, "",
        OneOf(&options->resume,
              {{"auto", ResumePolicy::kAuto}, {"never", ResumePolicy::kNever}}),
        kAny,
        "auto: go on from the state in the run folder if there is one; never: "
        "an existing state is an error"},
       kNone},
      {{"init_from", kOutput, "DIR", &options->init_from, kAny,
        "folder of a published version to start the generator from; new "
        "versions count on from its number"}},
  };
}

std::vector<Row> GeneratorRows(TrainerOptions* options) {
  ModelConfig* const model = &options->model_config;
  return {
      {{"networks", kGenerator, "",
        OneOf(&options->networks, {"ncsnpp", "toy_mlp"}), kAny,
        "ncsnpp: U-Net and convolutional discriminator, for images; toy_mlp: "
        "fully connected layers, for 25_gaussians",
        kOfDataset}},
      {{"toy_width", kGenerator, "", &options->toy_width, Between(4, 4096),
        "toy_mlp: width of the hidden layers"}},
      {{"image_size", kGenerator, "PIXELS", &model->image_size,
        Between(8, 1024), "height and width"}},
      {{"num_channels", kGenerator, "N", &model->num_channels, Between(1, 3),
        "image channels, 1 (gray) or 3 (RGB)", kOfDataset}},
      {{"num_channels_dae", kGenerator, "", &model->num_channels_dae,
        Between(4, 1024), "base width nf of the U-Net"}},
      {{"ch_mult", kGenerator, "", &model->ch_mult, kAny,
        "width factor of each resolution, 1 to 8 of them, each in [1, 8]"}},
      {{"num_res_blocks", kGenerator, "", &model->num_res_blocks, Between(1, 8),
        "blocks per resolution"}},
      {{"attn_resolutions", kGenerator, "", &model->attn_resolutions, kAny,
        "resolutions with attention, each in [1, 64] pixels"}},
      {{"progressive", kGenerator, "",
        OneOf(&model->progressive, {"none", "output_skip"}), kAny,
        "output pyramid"}},
      {{"progressive_input", kGenerator, "",
        OneOf(&model->progressive_input, {"none", "residual", "input_skip"}),
        kAny, "input pyramid"}},
      {{"nz", kGenerator, "", &model->nz, Between(1, 4096),
        "size of the latent"}},
      {{"z_emb_dim", kGenerator, "", &model->z_emb_dim, Between(1, 4096),
        "size of the style, which the latent is mapped to"}},
      {{"n_mlp", kGenerator, "", &model->n_mlp, Between(1, 16),
        "hidden layers of the latent mapping"}},
      {{"num_timesteps", kGenerator, "", &model->num_timesteps,
        Between(1, 1000), "denoising steps T"}},
      {{"beta_min", kGenerator, "", &model->beta_min, kAny,
        "start of the noise schedule"}},
      {{"beta_max", kGenerator, "", &model->beta_max, kAny,
        "end of the noise schedule; below 1 with --use_geometric"}},
      {{"use_geometric", kGenerator, "", &model->use_geometric, kAny,
        "geometric noise schedule instead of the variance preserving one"}},
      {{"sampler", kGenerator, "RULE", &model->sampler, kAny,
        "how servers make images of the published versions: ancestral, every "
        "step; ddim:K, K steps without noise; pc, every step and corrections"},
       kResult},
  };
}

std::vector<Row> DiscriminatorRows(TrainerOptions* options) {
  return {
      {{"ngf", kDiscriminator, "", &options->ngf, Between(1, 512),
        "base width"}},
      {{"t_emb_dim", kDiscriminator, "", &options->t_emb_dim, Between(4, 4096),
        "time embedding, even"}},
      {{"discriminator_head_start", kDiscriminator, "STEPS",
        &options->discriminator_head_start, Between(0, kMaxCount),
        "steps at the start in which the discriminator learns alone; some "
        "hundred are wanted with --init_from"}},
  };
}

std::vector<Row> TrainingRows(TrainerOptions* options) {
  return {
      {{"objective", kTraining, "",
        OneOf(&options->model_config.objective, {"adversarial", "denoising"}),
        kAny,
        "adversarial: a denoising diffusion GAN; denoising: a plain denoiser "
        "without discriminator, the latent fixed to 0, for many steps"}},
      {{"batch_size", kTraining, "", &options->batch_size, Between(1, 65536),
        "images per step of all processes together: at most 4, or a multiple "
        "of 4 times processes times --accumulate"}},
      {{"accumulate", kTraining, "", &options->accumulate, Between(1, 1024),
        "micro-batches per step and process, whose gradients add up: less "
        "memory, the same step but for rounding"},
       kNone},
      {{"num_epoch", kTraining, "EPOCHS", &options->num_epoch, Between(1, 1e6),
        "epochs over which the learning rates fall to 1e-5; lower ones stay"},
       kResult},
      {{"max_steps", kTraining, "STEPS", &options->max_steps,
        Between(0, kMaxCount),
        "stop after this many steps, earlier runs counted in; 0: after "
        "num_epoch + 1 epochs"},
       kResult},
      {{"max_hours", kTraining, "HOURS", &options->max_hours, Between(0, 1e5),
        "stop after so many hours of this run; 0: never"},
       kNone},
      {{"lr_g", kTraining, "", &options->lr_g, Between(1e-12, 1),
        "learning rate of the generator"},
       kResult},
      {{"lr_d", kTraining, "", &options->lr_d, Between(1e-12, 1),
        "learning rate of the discriminator"},
       kResult},
      {{"no_lr_decay", kTraining, "", &options->no_lr_decay, kAny,
        "keep the learning rates constant"},
       kResult},
      {{"r1_gamma", kTraining, "", &options->r1_gamma, Between(0, 1e6),
        "weight of the R1 penalty"},
       kResult},
      {{"lazy_reg", kTraining, "", &options->lazy_reg, Between(1, 1e6),
        "compute R1 every so many steps"},
       kResult},
      {{"ema_decay", kTraining, "", &options->ema_decay, Between(0, 0.9999999),
        "decay of the served average"},
       kResult},
      {{"seed", kTraining, "", &options->seed, kAny,
        "of weights, data order and noise"}},
  };
}

std::vector<Row> MachineRows(TrainerOptions* options) {
  return {
      {{"device", kMachine, "", OneOf(&options->device, {"cpu", "cuda"}), kAny,
        "where to compute"},
       kNone},
      {{"precision", kMachine, "",
        OneOf(&options->precision, {"float32", "tf32", "bfloat16"}), kAny,
        "of the networks' arithmetic"},
       kResult},
      {{"threads", kMachine, "", &options->threads, Between(0, 256),
        "CPU threads; 0: one per core, within a container's quota"},
       kNone},
      {{"distributed_timeout_s", kMachine, "SECONDS",
        &options->distributed_timeout_s, Between(1, 86400),
        "after which a process gives up waiting for the others"},
       kNone},
  };
}

std::vector<Row> ReportRows(TrainerOptions* options) {
  return {
      {{"log_every", kReports, "STEPS", &options->log_every,
        Between(1, kMaxCount), "steps between progress lines"},
       kNone},
      {{"progress", kReports, "",
        OneOf(&options->progress, {{"auto", ProgressMode::kAuto},
                                   {"bar", ProgressMode::kBar},
                                   {"lines", ProgressMode::kLines}}),
        kAny, "how progress is shown; auto: a bar on a terminal, else lines"},
       kNone},
      {{"metrics_listen", kReports, "HOST:PORT", &options->metrics_listen, kAny,
        "address for /metrics; empty: none", "none"},
       kNone},
      {{"sample_every", kReports, "STEPS", &options->sample_every,
        Between(1, kMaxCount), "steps between sample pictures"},
       kNone},
      {{"samples", kReports, "", &options->samples, Between(0, 1024),
        "images on a sample picture; 0: none"},
       kNone},
      {{"save_every", kReports, "STEPS", &options->save_every,
        Between(1, kMaxCount), "steps between saved states"},
       kNone},
      {{"publish_every", kReports, "STEPS", &options->publish_every,
        Between(1, kMaxCount), "steps between published versions"},
       kNone},
      {{"publish_minutes", kReports, "MINUTES", &options->publish_minutes,
        Between(0, 1e6),
        "also publish when the last version is so many minutes old, which "
        "bounds how old the live model is however slow the steps are; 0: by "
        "steps only"},
       kNone},
      {{"keep_published", kReports, "", &options->keep_published,
        Between(0, kMaxCount),
        "of the versions that this run published, how many stay on disk, the "
        "newest; older ones are removed. Keep as many as you may want to roll "
        "back to. 0: all, since what was removed unasked cannot be had again"},
       kNone},
      {{"keep_published_every", kReports, "STEPS",
        &options->keep_published_every, Between(0, kMaxCount),
        "with --keep_published: the first version at or after each multiple of "
        "so many steps stays for ever, too; 0: none does"},
       kNone},
  };
}

bool HaveOneType(const json& a, const json& b) {
  return a.is_number() ? b.is_number() : a.type() == b.type();
}

// The text that SetOption reads for `value`.
std::string TextOf(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  const std::string text = value.dump();
  return value.is_array() ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

TrainerOptionTable TrainerOptionsAsTable(TrainerOptions* options) {
  TrainerOptionTable table;
  for (auto* const rows :
       {DataRows, OutputRows, GeneratorRows, DiscriminatorRows, TrainingRows,
        MachineRows, ReportRows}) {
    for (Row& row : rows(options)) {
      table.rows.push_back(std::move(row.option));
      table.effects.push_back(row.effect);
    }
  }
  return table;
}

json OptionJson(const Option& option) {
  return std::visit(
      [&option](const auto& target) -> json {
        using T = std::decay_t<decltype(target)>;
        if constexpr (std::is_pointer_v<T>) {
          if constexpr (std::is_constructible_v<json, decltype(*target)>) {
            return *target;
          }
        }
        return OptionText(option);
      },
      option.target);
}

absl::Status SetOptionFromJson(const Option& option, const std::string& label,
                               const json& value) {
  absl::Status status = absl::InvalidArgumentError("must be a string");
  if (HaveOneType(value, OptionJson(option))) {
    status = SetOption(option, TextOf(value));
  } else if (!std::holds_alternative<std::string*>(option.target)) {
    status = SetOption(option, "(of another type)");
  }
  if (status.ok()) return status;
  return absl::InvalidArgumentError(
      absl::StrCat(label, " is ", Abbreviated(value), ", ", status.message()));
}

}  // namespace ddgan

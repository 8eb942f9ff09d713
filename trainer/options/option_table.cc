#include "trainer/options/option_table.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/strict_json.h"

namespace ddgan {
namespace {

using nlohmann::json;

template <auto member>
OptionField In(TrainerOptions& options) {
  return &(options.*member);
}

template <auto member>
OptionField InModel(TrainerOptions& options) {
  return &(options.model_config.*member);
}

constexpr Allowed kAny = {0, 0, ""};
constexpr Allowed Range(double low, double high) { return {low, high, ""}; }
constexpr Allowed OneOf(const char* choices) { return {0, 0, choices}; }

constexpr double kMaxCount = 1e9;
constexpr OptionEffect kNone = OptionEffect::kNone;
constexpr OptionEffect kResult = OptionEffect::kResult;
constexpr OptionEffect kIdentity = OptionEffect::kIdentity;
using T = TrainerOptions;
using M = ModelConfig;

constexpr char kData[] = "Data";
constexpr char kOutput[] = "Output and resuming";
constexpr char kGenerator[] = "Generator and schedule";
constexpr char kDiscriminator[] = "Discriminator";
constexpr char kTraining[] = "Training";
constexpr char kMachine[] = "Machine";
constexpr char kReports[] = "Reports, states and versions";

constexpr Option kOptions[] = {
    {"dataset", kData, In<&T::dataset>, kIdentity,
     OneOf("mnist|stacked_mnist|cifar10|image_folder|lmdb|25_gaussians"),
     "data set"},
    {"data", kData, In<&T::data>, kNone, kAny,
     "folder or file of the data set; required but for 25_gaussians"},
    {"dataset_limit", kData, In<&T::dataset_limit>, kIdentity,
     Range(0, kMaxCount), "only the first so many images; 0: all"},
    {"flip", kData, In<&T::flip>, kIdentity, kAny,
     "mirror every other image, at random"},
    {"data_threads", kData, In<&T::data_threads>, kNone, Range(1, 64),
     "threads that decode images"},

    {"out", kOutput, In<&T::out>, kNone, kAny,
     "model root to publish into (required)"},
    {"model", kOutput, In<&T::model>, kIdentity, kAny,
     "name to publish under, as <out>/<model>/<step>; by default the data "
     "set's"},
    {"run_dir", kOutput, In<&T::run_dir>, kNone, kAny,
     "folder for the training state and the sample grids; by default "
     "<out>/.training-<model>"},
    {"resume", kOutput, In<&T::resume>, kNone, OneOf("auto|never"),
     "auto: go on from the state in the run folder if there is one; never: an "
     "existing state is an error"},
    {"init_from", kOutput, In<&T::init_from>, kIdentity, kAny,
     "folder of a published version to start the generator from; new versions "
     "count on from its number"},

    {"networks", kGenerator, In<&T::networks>, kIdentity,
     OneOf("ncsnpp|toy_mlp"),
     "ncsnpp: U-Net and convolutional discriminator, for images; toy_mlp: "
     "fully connected layers, for 25_gaussians"},
    {"toy_width", kGenerator, In<&T::toy_width>, kIdentity, Range(4, 4096),
     "toy_mlp: width of the hidden layers"},
    {"image_size", kGenerator, InModel<&M::image_size>, kIdentity,
     Range(8, 1024), "height and width in pixels"},
    {"num_channels", kGenerator, InModel<&M::num_channels>, kIdentity,
     Range(1, 3),
     "image channels, 1 (gray) or 3 (RGB); by default the data set's"},
    {"num_channels_dae", kGenerator, InModel<&M::num_channels_dae>, kIdentity,
     Range(4, 1024), "base width nf of the U-Net"},
    {"ch_mult", kGenerator, InModel<&M::ch_mult>, kIdentity, kAny,
     "width factor of each resolution, 1 to 8 of them, each in [1, 8]"},
    {"num_res_blocks", kGenerator, InModel<&M::num_res_blocks>, kIdentity,
     Range(1, 8), "blocks per resolution"},
    {"attn_resolutions", kGenerator, InModel<&M::attn_resolutions>, kIdentity,
     kAny, "resolutions with attention, each in [1, 64] pixels"},
    {"progressive", kGenerator, InModel<&M::progressive>, kIdentity,
     OneOf("none|output_skip"), "output pyramid"},
    {"progressive_input", kGenerator, InModel<&M::progressive_input>, kIdentity,
     OneOf("none|residual|input_skip"), "input pyramid"},
    {"nz", kGenerator, InModel<&M::nz>, kIdentity, Range(1, 4096),
     "size of the latent"},
    {"z_emb_dim", kGenerator, InModel<&M::z_emb_dim>, kIdentity, Range(1, 4096),
     "size of the style, which the latent is mapped to"},
    {"n_mlp", kGenerator, InModel<&M::n_mlp>, kIdentity, Range(1, 16),
     "hidden layers of the latent mapping"},
    {"num_timesteps", kGenerator, InModel<&M::num_timesteps>, kIdentity,
     Range(1, 16), "denoising steps T"},
    {"beta_min", kGenerator, InModel<&M::beta_min>, kIdentity, kAny,
     "start of the noise schedule"},
    {"beta_max", kGenerator, InModel<&M::beta_max>, kIdentity, kAny,
     "end of the noise schedule; below 1 with --use_geometric"},
    {"use_geometric", kGenerator, InModel<&M::use_geometric>, kIdentity, kAny,
     "geometric noise schedule instead of the variance preserving one"},

    {"ngf", kDiscriminator, In<&T::ngf>, kIdentity, Range(1, 512),
     "base width"},
    {"t_emb_dim", kDiscriminator, In<&T::t_emb_dim>, kIdentity, Range(4, 4096),
     "time embedding, even"},
    {"discriminator_head_start", kDiscriminator,
     In<&T::discriminator_head_start>, kIdentity, Range(0, kMaxCount),
     "steps at the start in which the discriminator learns alone; some hundred "
     "are wanted with --init_from"},

    {"batch_size", kTraining, In<&T::batch_size>, kIdentity, Range(1, 65536),
     "images per step of all processes together: at most 4, or a multiple of 4 "
     "times processes times --accumulate"},
    {"accumulate", kTraining, In<&T::accumulate>, kNone, Range(1, 1024),
     "micro-batches per step and process, whose gradients add up: less memory, "
     "the same step but for rounding"},
    {"num_epoch", kTraining, In<&T::num_epoch>, kResult, Range(1, 1e6),
     "epochs over which the learning rates fall to 1e-5"},
    {"max_steps", kTraining, In<&T::max_steps>, kResult, Range(0, kMaxCount),
     "stop after this many steps, earlier runs counted in; 0: after num_epoch "
     "+ 1 epochs"},
    {"max_hours", kTraining, In<&T::max_hours>, kNone, Range(0, 1e5),
     "stop after so many hours of this run; 0: never"},
    {"lr_g", kTraining, In<&T::lr_g>, kResult, Range(1e-12, 1),
     "learning rate of the generator"},
    {"lr_d", kTraining, In<&T::lr_d>, kResult, Range(1e-12, 1),
     "learning rate of the discriminator"},
    {"no_lr_decay", kTraining, In<&T::no_lr_decay>, kResult, kAny,
     "keep the learning rates constant"},
    {"r1_gamma", kTraining, In<&T::r1_gamma>, kIdentity, Range(0, 1e6),
     "weight of the R1 penalty"},
    {"lazy_reg", kTraining, In<&T::lazy_reg>, kIdentity, Range(1, 1e6),
     "compute R1 every so many steps"},
    {"ema_decay", kTraining, In<&T::ema_decay>, kIdentity, Range(0, 0.9999999),
     "decay of the served average"},
    {"seed", kTraining, In<&T::seed>, kIdentity, kAny,
     "of weights, data order and noise"},

    {"device", kMachine, In<&T::device>, kNone, OneOf("cpu|cuda"),
     "where to compute"},
    {"precision", kMachine, In<&T::precision>, kResult,
     OneOf("float32|tf32|bfloat16"), "of the networks' arithmetic"},
    {"threads", kMachine, In<&T::threads>, kNone, Range(0, 256),
     "CPU threads; 0: one per core"},
    {"distributed_timeout_s", kMachine, In<&T::distributed_timeout_s>, kNone,
     Range(1, 86400),
     "seconds after which a process gives up waiting for the others"},

    {"log_every", kReports, In<&T::log_every>, kNone, Range(1, kMaxCount),
     "steps between progress lines"},
    {"progress", kReports, In<&T::progress>, kNone, OneOf("auto|bar|lines"),
     "how progress is shown; auto: a bar on a terminal, else lines"},
    {"metrics_listen", kReports, In<&T::metrics_listen>, kNone, kAny,
     "address for /metrics, host:port; empty: none"},
    {"sample_every", kReports, In<&T::sample_every>, kNone, Range(1, kMaxCount),
     "steps between sample pictures"},
    {"samples", kReports, In<&T::samples>, kNone, Range(0, 1024),
     "images on a sample picture; 0: none"},
    {"save_every", kReports, In<&T::save_every>, kNone, Range(1, kMaxCount),
     "steps between saved states"},
    {"publish_every", kReports, In<&T::publish_every>, kNone,
     Range(1, kMaxCount), "steps between published versions"},
    {"publish_minutes", kReports, In<&T::publish_minutes>, kNone, Range(0, 1e6),
     "also publish when the last version is so many minutes old, which bounds "
     "how old the live model is however slow the steps are; 0: by steps only"},
    {"keep_published", kReports, In<&T::keep_published>, kNone,
     Range(0, kMaxCount),
     "of the versions that this run published, how many stay on disk, the "
     "newest; older ones are removed. Keep as many as you may want to roll "
     "back to. 0: all, since what was removed unasked cannot be had again"},
    {"keep_published_every", kReports, In<&T::keep_published_every>, kNone,
     Range(0, kMaxCount),
     "with --keep_published: the first version at or after each multiple of so "
     "many steps stays for ever, too; 0: none does"},
};

const char* NameOf(ResumePolicy policy) {
  return policy == ResumePolicy::kAuto ? "auto" : "never";
}

// Found beside the overloads of strict_json.h.
std::optional<std::string> ReadJson(const json& value, ResumePolicy* out) {
  for (const ResumePolicy policy : {ResumePolicy::kAuto, ResumePolicy::kNever})
    if (value == NameOf(policy)) {
      *out = policy;
      return std::nullopt;
    }
  return "auto or never";
}

json ToJson(ResumePolicy policy) { return NameOf(policy); }

template <typename Value>
json ToJson(const Value& value) {
  return value;
}

bool IsText(const Option& option) {
  TrainerOptions scratch;
  const OptionField field = option.field(scratch);
  return std::holds_alternative<std::string*>(field) ||
         std::holds_alternative<ResumePolicy*>(field);
}

bool IsList(const Option& option) {
  TrainerOptions scratch;
  return std::holds_alternative<std::vector<int>*>(option.field(scratch));
}

// A bound, as the option's type prints it.
std::string BoundText(const Option& option, double bound) {
  TrainerOptions scratch;
  if (std::holds_alternative<double*>(option.field(scratch)))
    return absl::StrCat(bound);
  return absl::StrCat(static_cast<int64_t>(bound));
}

bool HasRange(const Option& option) {
  return option.allowed.low != 0 || option.allowed.high != 0;
}

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// The name in the table that is nearest to `name`, or empty if none is near.
std::string NearestName(const std::string& name) {
  constexpr size_t kMaxNameBytes = 40;
  if (name.size() > kMaxNameBytes) return "";
  std::string nearest;
  size_t least = std::max<size_t>(name.size() / 3, 1) + 1;
  for (const Option& option : kOptions) {
    const size_t distance = EditDistance(name, option.name);
    if (distance < least) {
      least = distance;
      nearest = option.name;
    }
  }
  return nearest;
}

}  // namespace

absl::Span<const Option> OptionTable() { return kOptions; }

const Option* FindOption(const std::string& name) {
  for (const Option& option : kOptions)
    if (name == option.name) return &option;
  return nullptr;
}

absl::Status UnknownOption(const std::string& what, const std::string& name) {
  const std::string nearest = NearestName(name);
  return absl::InvalidArgumentError(
      nearest.empty() ? absl::StrCat(what, ": --help lists the flags")
                      : absl::StrCat(what, ": did you mean ", nearest, "?"));
}

json OptionValue(const Option& option, const TrainerOptions& options) {
  TrainerOptions copy = options;
  return std::visit([](const auto* field) { return ToJson(*field); },
                    option.field(copy));
}

absl::Status SetOption(const Option& option, const std::string& label,
                       const json& value, TrainerOptions* options) {
  std::optional<std::string> wanted =
      std::visit([&](auto* field) { return ReadJson(value, field); },
                 option.field(*options));
  if (!wanted) return absl::OkStatus();
  if (IsList(option)) wanted = "a list of whole numbers";
  return absl::InvalidArgumentError(
      absl::StrCat(label, " is ", Abbreviated(value), ", must be ", *wanted));
}

absl::Status SetOptionFromText(const Option& option, const std::string& text,
                               TrainerOptions* options) {
  const std::string label = absl::StrCat("--", option.name);
  if (IsText(option)) return SetOption(option, label, text, options);
  const absl::StatusOr<json> value =
      ParseStrictJson(IsList(option) ? absl::StrCat("[", text, "]") : text);
  // What is no JSON is text, and refused as such.
  return SetOption(option, label, value.ok() ? *value : json(text), options);
}

std::string AllowedValues(const Option& option) {
  if (HasRange(option)) {
    return absl::StrCat("in [", BoundText(option, option.allowed.low), ", ",
                        BoundText(option, option.allowed.high), "]");
  }
  if (*option.allowed.choices == '\0') return "";
  return absl::StrCat(
      "one of: ",
      absl::StrJoin(absl::StrSplit(option.allowed.choices, '|'), ", "));
}

absl::Status CheckAllowed(const Option& option, const TrainerOptions& options) {
  const json value = OptionValue(option, options);
  bool allowed = true;
  if (HasRange(option)) {
    // Written so that NaN fails.
    const double number = value.get<double>();
    allowed = number >= option.allowed.low && number <= option.allowed.high;
  } else if (*option.allowed.choices != '\0') {
    const std::vector<std::string> choices =
        absl::StrSplit(option.allowed.choices, '|');
    allowed = std::find(choices.begin(), choices.end(),
                        value.get<std::string>()) != choices.end();
  }
  if (allowed) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", option.name, " is ", Abbreviated(value), ", must be ",
                   AllowedValues(option)));
}

}  // namespace ddgan

#include "trainer/import/import_options.h"

#include "absl/status/status.h"
#include "engine/base/option_table.h"

namespace ddgan {
namespace {

constexpr char kVersion[] = "The version";
constexpr char kArchitecture[] = "Its architecture";

constexpr char kAbout[] =
    "Turns a generator checkpoint of the published layout into a model "
    "version\n"
    "that ddgan-server loads. OUT_DIR is a model root: the version appears as\n"
    "OUT_DIR/<model>/<version>/ in one step, so a running server may be "
    "watching\n"
    "it. FILE is a state_dict by torch.save (torch 1.6 or newer), alone or "
    "under a\n"
    "key such as \"state_dict\", or a safetensors file. What training tools "
    "put\n"
    "before all names is taken off: \"module.\", \"_orig_mod.\". Half and "
    "bfloat16\n"
    "become float32. Only tensors are read: a pickle that asks for anything "
    "else is\n"
    "refused and nothing of it runs.\n"
    "\n"
    "Shapes must agree with the architecture exactly. If they do not, the "
    "error\n"
    "names the tensors and the --config that would fit.\n";

constexpr char kNotes[] =
    "Exit codes: 0 done, 1 failed, 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  ddgan-import --model=cifar10 netG_1200.pth models\n"
    "  ddgan-import --model=faces --preset=celebahq256 netG_550.pth models\n"
    "  ddgan-import --model=mine --config=mine.json --dataset=mine "
    "netG_90.pth models\n";

}  // namespace

absl::StatusOr<ImportOptions> ParseImportOptions(
    absl::Span<const std::string> arguments, const Environment& environment) {
  ImportOptions options;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      {.name = "ddgan-import",
       .environment = "DDGAN_IMPORT_",
       .usage = {"--model=NAME [flags] FILE OUT_DIR"},
       .about = kAbout,
       .notes = kNotes,
       .summary = "turn a checkpoint of the published layout into a version",
       .max_operands = 2},
      {
          {"model", kVersion, "NAME", &options.model, kNotEmpty,
           "name of the model, the folder below OUT_DIR: [a-z0-9] then "
           "[a-z0-9._-]*, at most 64 bytes",
           kRequired},
          {"version", kVersion, "", &options.version, AtLeast(1),
           "version to publish; larger is newer. Refused if it is there"},
          {"dataset", kVersion, "NAME", &options.dataset, kNotEmpty,
           "what the model was trained on, for the record",
           "that of --config, else the preset's name if one is named, else "
           "unknown"},
          {"training_step", kVersion, "STEPS", &options.training_step,
           AtLeast(0),
           "generator updates behind these weights, for the record"},
          {"preset", kArchitecture, "",
           OneOf(&options.preset, {"cifar10", "celebahq256", "lsun256"}), kAny,
           "published configuration to start from", "cifar10"},
          {"config", kArchitecture, "FILE|JSON", &options.config, kNotEmpty,
           "what differs from the preset: a JSON file, or JSON itself, with "
           "the "
           "option names of the published command lines, such as "
           "'{\"num_channels_dae\": 64, \"ch_mult\": [1, 2, 2]}'",
           "nothing"},
      },
      arguments, environment);
  if (!parsed.ok()) return parsed.status();
  options.text = parsed->text;
  if (!options.text.empty()) return options;
  if (parsed->operands.size() != 2) {
    return absl::InvalidArgumentError(
        "wanted ddgan-import --model=NAME [flags] FILE OUT_DIR; more with "
        "--help");
  }
  options.file = parsed->operands[0];
  options.model_root = parsed->operands[1];
  return options;
}

}  // namespace ddgan

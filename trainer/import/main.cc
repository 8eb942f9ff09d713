// ddgan-import: a published-layout .pth in, a model version out.
// Exit code 0 done, 1 failed, 2 wrong usage; a failure is one line on stderr.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "trainer/import/architecture.h"
#include "trainer/import/checkpoint_import.h"

ABSL_FLAG(
    std::string, model, "",
    "Name of the model, the folder below OUT_DIR. Required: [a-z0-9] then "
    "[a-z0-9._-]*, at most 64 bytes.");
ABSL_FLAG(int64_t, version, 1,
          "Version to publish, >= 1; larger is newer. Refused if it is there.");
ABSL_FLAG(std::string, preset, "cifar10",
          "Published configuration to start from: cifar10, celebahq256 or "
          "lsun256.");
ABSL_FLAG(std::string, config, "",
          "What differs from the preset: a JSON file, or JSON itself, with the "
          "option names of the published command lines, e.g. "
          "'{\"num_channels_dae\": 64, \"ch_mult\": [1, 2, 2]}'.");
ABSL_FLAG(std::string, dataset, "",
          "What the model was trained on, for the record. Default: the "
          "preset's name.");
ABSL_FLAG(int64_t, training_step, 0,
          "Generator updates behind these weights, for the record.");

namespace {

constexpr char kUsage[] =
    "Turns a generator checkpoint of the published layout into a model version "
    "that ddgan-server loads.\n\n"
    "  ddgan-import [flags] netG_<epoch>.pth OUT_DIR\n\n"
    "OUT_DIR is a model root: the version appears as OUT_DIR/<model>/<version>/"
    " in one step,\nso a running server may be watching it. The .pth is a "
    "state_dict by torch.save (torch 1.6\nor newer), with or without "
    "\"module.\" "
    "before its names. Only tensors are read from it:\na pickle that asks for "
    "anything else is refused and nothing of it runs.\n\n"
    "Shapes must agree with the architecture exactly. If they do not, the "
    "error "
    "names the\ntensors and the --config that would fit.\n\n"
    "  ddgan-import --model=cifar10 netG_1200.pth models\n"
    "  ddgan-import --model=faces --preset=celebahq256 netG_550.pth models\n"
    "  ddgan-import --model=mine --config=mine.json --dataset=mine "
    "netG_90.pth models";

// The text of --config: the flag itself if it is JSON, else the file it names.
absl::StatusOr<std::string> ConfigText(const std::string& flag) {
  if (absl::StartsWith(flag, "{")) return flag;
  std::ifstream file(flag, std::ios::binary);
  std::string text;
  // One byte over the limit is enough to see that it is passed.
  text.resize(ddgan::kMaxJsonBytes + 1);
  if (!file.read(text.data(), static_cast<std::streamsize>(text.size())) &&
      !file.eof()) {
    return absl::NotFoundError(
        absl::StrCat("--config: ", flag, " cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > ddgan::kMaxJsonBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--config: ", flag, " has more than ", ddgan::kMaxJsonBytes, " bytes"));
  }
  return text;
}

absl::StatusOr<ddgan::ModelConfig> ModelConfigFromFlags() {
  const std::string preset_name = absl::GetFlag(FLAGS_preset);
  const std::optional<ddgan::ModelConfig> preset =
      ddgan::PublishedPreset(preset_name);
  if (!preset.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--preset=", preset_name,
                     " is unknown: cifar10, celebahq256 or lsun256"));
  }
  const std::string flag = absl::GetFlag(FLAGS_config);
  if (flag.empty()) return *preset;
  const absl::StatusOr<std::string> text = ConfigText(flag);
  if (!text.ok()) return text.status();
  absl::StatusOr<ddgan::ModelConfig> config =
      ddgan::ParseModelConfig(*text, *preset);
  if (!config.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config: ", config.status().message()));
  }
  return config;
}

absl::StatusOr<ddgan::ModelIdentity> ImportByFlags(const char* pth_file,
                                                   const char* model_root) {
  const absl::StatusOr<ddgan::ModelConfig> model_config =
      ModelConfigFromFlags();
  if (!model_config.ok()) return model_config.status();
  ddgan::CheckpointConfig config;
  config.model_config = *model_config;
  config.model = absl::GetFlag(FLAGS_model);
  config.training_step = absl::GetFlag(FLAGS_training_step);
  config.dataset = absl::GetFlag(FLAGS_dataset).empty()
                       ? absl::GetFlag(FLAGS_preset)
                       : absl::GetFlag(FLAGS_dataset);
  config.created =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
  config.trainer_version = "ddgan-import " DDGAN_VERSION;
  return ddgan::ImportCheckpoint(pth_file, model_root,
                                 absl::GetFlag(FLAGS_version), config);
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  absl::FlagsUsageConfig usage;
  usage.contains_help_flags = [](absl::string_view file) {
    return absl::EndsWith(file, "trainer/import/main.cc");
  };
  // Where it was built is nobody's business.
  usage.normalize_filename = [](absl::string_view) {
    return std::string("ddgan-import");
  };
  absl::SetFlagsUsageConfig(usage);
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() != 3 || absl::GetFlag(FLAGS_model).empty()) {
    std::fputs(
        "usage: ddgan-import --model=NAME [flags] FILE.pth OUT_DIR; "
        "more with --help\n",
        stderr);
    return 2;
  }
  const absl::StatusOr<ddgan::ModelIdentity> identity =
      ImportByFlags(arguments[1], arguments[2]);
  if (!identity.ok()) {
    std::fprintf(stderr, "ddgan-import: %s\n",
                 std::string(identity.status().message()).c_str());
    return 1;
  }
  std::printf("published %s version %lld in %s, digest %s\n",
              identity->model.c_str(),
              static_cast<long long>(identity->version), arguments[2],
              identity->digest.c_str());
  return 0;
}

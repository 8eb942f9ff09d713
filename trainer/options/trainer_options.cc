#include "trainer/options/trainer_options.h"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/listen_address.h"
#include "engine/base/program_options.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "nlohmann/json.hpp"
#include "trainer/options/trainer_option_table.h"

namespace ddgan {
namespace {

using nlohmann::json;

constexpr char kPoints[] = "25_gaussians";
constexpr char kToyNetworks[] = "toy_mlp";
// Rows of one group of the minibatch standard deviation.
constexpr int kGroupRows = 4;

absl::Status CheckGiven(const char* flag, const std::string& value,
                        const char* what) {
  if (!value.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " is required: ", what));
}

absl::Status CheckData(const TrainerOptions& options) {
  const bool is_points = options.dataset == kPoints;
  if ((options.networks == kToyNetworks) != is_points) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--networks is \"", options.networks, "\" and --dataset is \"",
        options.dataset, "\": ", kToyNetworks, " goes with ", kPoints,
        ", and only with it"));
  }
  if (is_points) return absl::OkStatus();
  return CheckGiven("data", options.data, "the folder or file of the data set");
}

absl::Status CheckClasses(const TrainerOptions& options) {
  if (options.classes.empty()) return absl::OkStatus();
  if (options.dataset != "image_folder") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--classes is ", Abbreviated(options.classes), " and --dataset is \"",
        options.dataset, "\": only image_folder has classes"));
  }
  for (const std::string& name : ClassNames(options)) {
    if (name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--classes is ", Abbreviated(options.classes),
                       ", must be names of folders with commas between them"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBatch(const TrainerOptions& options, int world_size) {
  const int64_t slots = int64_t{world_size} * options.accumulate;
  if (options.batch_size % slots != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--batch_size is ", options.batch_size, ", must be a multiple of ",
        slots, ", which is processes (", world_size, ") x --accumulate (",
        options.accumulate, ")"));
  }
  const int64_t part = options.batch_size / slots;
  // Parts of fewer rows would have smaller groups, and the step of a batch
  // would depend on how it is split.
  if (options.networks == kToyNetworks || IsDenoiser(options.model_config) ||
      part % kGroupRows == 0 || (slots == 1 && part < kGroupRows))
    return absl::OkStatus();
  const std::string share =
      slots == 1 ? ""
                 : absl::StrCat(", which gives each of ", slots, " parts (",
                                world_size, " processes x ", options.accumulate,
                                " micro-batches) ", part, " images");
  return absl::InvalidArgumentError(absl::StrCat(
      "--batch_size is ", options.batch_size, share, ", must be ",
      slots == 1 ? "at most 4 or " : "",
      "a multiple of 4 (groups of the minibatch standard deviation)"));
}

absl::Status CheckHeadStart(const TrainerOptions& options) {
  if (options.discriminator_head_start == 0 ||
      !IsDenoiser(options.model_config))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--discriminator_head_start is ", options.discriminator_head_start,
      ", must be 0: with --objective=denoising there is no discriminator"));
}

absl::Status CheckPrecision(const TrainerOptions& options) {
  if (options.precision != "tf32" || options.device == "cuda") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--precision is \"tf32\" and --device is \"", options.device,
                   "\": only GPUs compute in TF32"));
}

// A run of points has no pictures that these could be of.
absl::Status CheckPoints(const TrainerOptions& options) {
  if (options.dataset != kPoints) return absl::OkStatus();
  const struct {
    const char* flag;
    bool is_given;
    const char* missing;
  } rows[] = {
      {"data", !options.data.empty(), "files"},
      {"flip", options.flip, "files"},
      {"convert", options.convert != "refuse", "files"},
      {"dataset_limit", options.dataset_limit != 0, "files"},
      {"init_from", !options.init_from.empty(), "versions to start from"}};
  for (const auto& [flag, is_given, missing] : rows) {
    if (!is_given) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, " is given and --dataset is \"", kPoints,
                     "\", which has no ", missing));
  }
  return absl::OkStatus();
}

absl::Status CheckMetricsAddress(const std::string& address) {
  if (address.empty() || ParseListenAddress(address).ok()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--metrics_listen is ", Abbreviated(address),
                   ", must be host:port with a port in [0, 65535], or empty"));
}

// The options that have one of `effects`, under their names.
json ValuesOf(TrainerOptions options,
              std::initializer_list<OptionEffect> effects) {
  json values = json::object();
  const TrainerOptionTable table = TrainerOptionsAsTable(&options);
  for (size_t i = 0; i < table.rows.size(); ++i) {
    for (const OptionEffect effect : effects) {
      if (table.effects[i] == effect)
        values[table.rows[i].name] = OptionJson(table.rows[i]);
    }
  }
  return values;
}

// A path may have any bytes.
std::string Text(const json& values, int indent) {
  return values.dump(indent, ' ', /*ensure_ascii=*/false,
                     json::error_handler_t::replace);
}

}  // namespace

absl::Status ValidateTrainerOptions(const TrainerOptions& options,
                                    int world_size) {
  if (world_size < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the number of processes is ", world_size, ", must be at least 1"));
  }
  TrainerOptions copy = options;
  const std::vector<Option> rows = TrainerOptionsAsTable(&copy).rows;
  for (const Option& option : rows) {
    // Who wrote the struct may have written any value.
    if (absl::Status status =
            StoreOption(rows, {option.name, OptionText(option)});
        !status.ok())
      return status;
  }
  for (const absl::Status& status :
       {CheckData(options), CheckClasses(options),
        CheckGiven("out", options.out, "the model root to publish into"),
        CheckPoints(options), CheckPrecision(options),
        CheckBatch(options, world_size), CheckHeadStart(options),
        CheckMetricsAddress(options.metrics_listen)}) {
    if (!status.ok()) return status;
  }
  if (options.keep_published_every > 0 && options.keep_published == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--keep_published_every is ", options.keep_published_every,
                     ", but without --keep_published every version stays"));
  }
  if (!IsModelName(options.model)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--model is ", Abbreviated(options.model),
        ", must be 1 to 64 of a-z, 0-9, '.', '_', '-', the first of them a "
        "letter or digit"));
  }
  if (options.t_emb_dim % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--t_emb_dim is ", options.t_emb_dim, ", must be even"));
  }
  return ValidateModelConfig(options.model_config);
}

absl::Status CheckHasABatch(const TrainerOptions& options, size_t samples) {
  if (samples >= static_cast<size_t>(options.batch_size))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--batch_size is ", options.batch_size,
                   ", but the data set has only ", samples, " images"));
}

std::vector<std::string> ClassNames(const TrainerOptions& options) {
  if (options.classes.empty()) return {};
  return absl::StrSplit(options.classes, ',');
}

std::string RunFolder(const TrainerOptions& options) {
  if (!options.run_dir.empty()) return options.run_dir;
  return absl::StrCat(options.out, "/.training-", options.model);
}

std::string EffectiveConfigJson(const TrainerOptions& options) {
  return Text(
      ValuesOf(options, {OptionEffect::kIdentity, OptionEffect::kResult}), 2);
}

std::string RunFingerprint(const TrainerOptions& options) {
  return Text(ValuesOf(options, {OptionEffect::kIdentity}), -1);
}

std::string DescribeFingerprintDifference(const std::string& saved,
                                          const std::string& current) {
  // More of them say only that it is something else altogether.
  constexpr size_t kMaxNamed = 8;
  const absl::StatusOr<json> there = ParseStrictJson(saved);
  const absl::StatusOr<json> here = ParseStrictJson(current);
  if (!there.ok() || !there->is_object())
    return "the saved options are not a JSON object";
  if (!here.ok() || !here->is_object())
    return "the present options are not a JSON object";
  std::vector<std::string> keys;
  for (const json& side : {*there, *here}) {
    for (const auto& [key, value] : side.items()) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());

  const auto value_in = [](const json& side, const std::string& key) {
    const auto found = side.find(key);
    return found == side.end() ? "not set" : Abbreviated(*found);
  };
  TrainerOptions defaults;
  const auto [rows, effects] = TrainerOptionsAsTable(&defaults);
  std::vector<std::string> differences;
  size_t unnamed = 0;
  for (const std::string& key : keys) {
    const auto there_value = there->find(key);
    const auto here_value = here->find(key);
    const Option* const option = FindOption(rows, key);
    if (here_value != here->end()) {
      if (there_value != there->end() && *there_value == *here_value) continue;
      if (there_value == there->end() && option != nullptr &&
          OptionJson(*option) == *here_value)
        continue;
    } else if (option != nullptr &&
               effects[static_cast<size_t>(option - rows.data())] !=
                   OptionEffect::kIdentity) {
      continue;
    }
    if (differences.size() == kMaxNamed) {
      ++unnamed;
      continue;
    }
    differences.push_back(absl::StrCat(
        // A known name as it is; anything else may have any bytes.
        option != nullptr ? key : Abbreviated(key), " was ",
        value_in(*there, key), " and is ", value_in(*here, key)));
  }
  if (unnamed > 0) differences.push_back(absl::StrCat(unnamed, " more differ"));
  return absl::StrJoin(differences, ", ");
}

}  // namespace ddgan

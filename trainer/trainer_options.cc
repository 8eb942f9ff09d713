#include "trainer/trainer_options.h"

#include "absl/strings/str_cat.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "nlohmann/json.hpp"

namespace ddgan {
namespace {

template <typename T>
absl::Status CheckRange(const char* flag, T value, T low, T high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--", flag, " is ", value, ", must be in [", low, ", ", high, "]"));
}

absl::Status CheckGiven(const char* flag, const std::string& value,
                        const char* what) {
  if (!value.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " is required: ", what));
}

}  // namespace

absl::Status ValidateTrainerOptions(const TrainerOptions& options) {
  constexpr int64_t kMaxInterval = 1'000'000'000;
  if (options.dataset != "mnist") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--dataset is '", options.dataset, "', must be one of: mnist"));
  }
  for (const absl::Status& status : {
           CheckGiven("data", options.data, "the folder of the data set"),
           CheckGiven("out", options.out, "the model root to publish into"),
           CheckRange("ngf", options.ngf, 1, 512),
           CheckRange("t_emb_dim", options.t_emb_dim, 4, 4096),
           CheckRange("batch_size", options.batch_size, 1, 4096),
           CheckRange("num_epoch", options.num_epoch, 1, 1'000'000),
           CheckRange<int64_t>("max_steps", options.max_steps, 0, kMaxInterval),
           CheckRange<int64_t>("discriminator_head_start",
                               options.discriminator_head_start, 0,
                               kMaxInterval),
           CheckRange("lr_g", options.lr_g, 1e-12, 1.0),
           CheckRange("lr_d", options.lr_d, 1e-12, 1.0),
           CheckRange("r1_gamma", options.r1_gamma, 0.0, 1e6),
           CheckRange("lazy_reg", options.lazy_reg, 1, 1'000'000),
           CheckRange("ema_decay", options.ema_decay, 0.0, 0.9999999),
           CheckRange("threads", options.threads, 0, 256),
           CheckRange<int64_t>("log_every", options.log_every, 1, kMaxInterval),
           CheckRange<int64_t>("sample_every", options.sample_every, 1,
                               kMaxInterval),
           CheckRange<int64_t>("save_every", options.save_every, 1,
                               kMaxInterval),
           CheckRange<int64_t>("publish_every", options.publish_every, 1,
                               kMaxInterval),
           CheckRange("publish_minutes", options.publish_minutes, 0.0, 1e6),
           CheckRange<int64_t>("keep_published", options.keep_published, 0,
                               kMaxInterval),
           CheckRange<int64_t>("keep_published_every",
                               options.keep_published_every, 0, kMaxInterval),
       }) {
    if (!status.ok()) return status;
  }
  if (options.keep_published_every > 0 && options.keep_published == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--keep_published_every is ", options.keep_published_every,
                     ", but without --keep_published every version stays"));
  }
  if (!IsModelName(options.model)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--model is '", options.model,
        "', must be 1 to 64 of a-z, 0-9, '.', '_', '-', the first of them a "
        "letter or digit"));
  }
  if (options.t_emb_dim % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--t_emb_dim is ", options.t_emb_dim, ", must be even"));
  }
  if (options.batch_size > 4 && options.batch_size % 4 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--batch_size is ", options.batch_size,
                     ", must be at most 4 or a multiple of 4 (groups of the "
                     "minibatch standard deviation)"));
  }
  return ValidateModelConfig(options.model_config);
}

std::string RunFolder(const TrainerOptions& options) {
  if (!options.run_dir.empty()) return options.run_dir;
  return absl::StrCat(options.out, "/.training-", options.model);
}

std::string RunFingerprint(const TrainerOptions& options) {
  CheckpointConfig config;
  config.model_config = options.model_config;
  config.model = options.model;
  config.dataset = options.dataset;
  nlohmann::json json = nlohmann::json::parse(CheckpointConfigToJson(config));
  for (const char* key : {"created", "training_step", "trainer_version"}) {
    json.erase(key);
  }
  json["ngf"] = options.ngf;
  json["t_emb_dim"] = options.t_emb_dim;
  json["batch_size"] = options.batch_size;
  json["seed"] = options.seed;
  json["lazy_reg"] = options.lazy_reg;
  json["r1_gamma"] = options.r1_gamma;
  json["ema_decay"] = options.ema_decay;
  // Absent where they change nothing, so that older states stay valid.
  if (!options.init_from.empty()) json["init_from"] = options.init_from;
  if (options.discriminator_head_start > 0) {
    json["discriminator_head_start"] = options.discriminator_head_start;
  }
  return json.dump();
}

}  // namespace ddgan

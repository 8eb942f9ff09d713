// What the commands of ddgan-evaluate have in common: how they are called, and
// the options that several of them take. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_SESSION_EVALUATE_PROGRAM_H_
#define DDGAN_TRAINER_EVALUATION_SESSION_EVALUATE_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/base/option_table.h"
#include "engine/base/program_options.h"
#include "trainer/dataset/encoded_dataset.h"
#include "trainer/evaluation/pictures/picture_source.h"

namespace ddgan {

// What a command is parsed from, and what it has to know of the others.
struct CommandInput {
  // After the command's name.
  absl::Span<const std::string> arguments;
  const Environment& environment;
  // All commands of the program, this one too.
  absl::Span<const CommandSummary> commands = {};
  // Whether any of them has a flag of this name: the environment is one for
  // all. Null: only this command's flags may stand there.
  bool (*is_flag_of_a_command)(absl::string_view name) = nullptr;
};

// `usage` is what may follow "ddgan-evaluate COMMAND", a line each.
Program EvaluateProgram(const CommandInput& input, const std::string& command,
                        std::vector<std::string> usage, std::string about,
                        size_t max_operands = 0);

std::vector<Option> JoinedRows(std::vector<std::vector<Option>> parts);

// Which pictures of a data set, and as what, as ddgan-train's flags say it: a
// model is to be measured against what it was trained on.
struct DataChoice {
  // Names of folders, with commas between them; empty: all.
  std::string classes;
  int64_t dataset_limit = 0;  // Only the first so many; 0: all. [0, 1e9]
  Conversion convert = Conversion::kRefuse;
  uint64_t data_seed = 0;  // Of stacked_mnist: which digits lie together.
};

// "classes horse,ship; the first 100; gray and alpha as RGB; seed 1", or a part
// of that; empty for all as they are. Equal texts are equal choices, and the
// order of classes is none of it.
std::string DataChoiceText(const DataChoice& choice);

// Which real pictures, and what is computed of pictures.
struct MeasureOptions {
  std::string data;
  std::string dataset;  // Empty: what the version was trained on.
  DataChoice choice;
  int64_t data_samples = 0;  // 0: all.
  std::string features;      // Empty: DefaultFeatures.
  std::string features_digest;
  std::string classifier;  // Empty: in the cache.
  std::string cache;       // Empty: DefaultCacheFolder.
  int threads = 0;         // [0, 256]; 0: one per processor.
};

// Which pictures are measured: one of `model`, `images` and `server`.
struct PictureOptions {
  std::string model;    // Folder of a version; a model's name with `server`.
  std::string images;   // Folder or archive.
  std::string server;   // host:port
  std::string sampler;  // Empty: the version's own.
  uint64_t seed = 0;
  PictureCoding through = PictureCoding::kPng;
};

// --data, --dataset and so on; --features and so on; --threads.
std::vector<Option> MeasureRows(MeasureOptions* options);
// --classes, --dataset_limit and --convert alone, in the group of --data.
std::vector<Option> DataChoiceRows(DataChoice* choice, const char* group);
// --classifier and --cache alone, for commands that need no features.
std::vector<Option> ClassifierRows(std::string* classifier, std::string* cache);
// --model, --sampler, --seed; also --images and --server.
std::vector<Option> ModelRows(PictureOptions* options);
std::vector<Option> OtherPictureRows(PictureOptions* options);
Option ThroughRow(PictureCoding* through);
Option ThreadsRow(int* threads);
Option JsonRow(bool* json);

// InvalidArgument, with a sentence for the user, unless just one of the three
// is given and the rest goes with it.
absl::Status CheckPictureOptions(const PictureOptions& options);

// "digits" for MNIST and Stacked-MNIST, which it knows, else
// "efficientnet-lite0".
std::string DefaultFeatures(const std::string& dataset);

// $XDG_CACHE_HOME/ddgan/evaluate, or that of ~/.cache. InvalidArgument if the
// environment has neither.
absl::StatusOr<std::string> DefaultCacheFolder(const Environment& environment);

// `threads`, or as many as there are processors for 0.
int ThreadCount(int threads);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_SESSION_EVALUATE_PROGRAM_H_

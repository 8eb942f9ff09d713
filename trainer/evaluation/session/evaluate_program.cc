#include "trainer/evaluation/session/evaluate_program.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/host_cpus.h"

namespace ddgan {
namespace {

constexpr char kPictures[] = "Pictures";
constexpr char kData[] = "Real pictures";
constexpr char kFeatures[] = "Features";
constexpr char kReport[] = "Report";

}  // namespace

Program EvaluateProgram(const CommandInput& input, const std::string& command,
                        std::vector<std::string> usage, std::string about,
                        size_t max_operands) {
  Program program = {.name = absl::StrCat("ddgan-evaluate ", command),
                     .environment = "DDGAN_EVALUATE_",
                     .usage = std::move(usage),
                     .about = std::move(about),
                     .notes = "Exit codes: 0 done, 1 failed, 2 wrong usage.\n",
                     .max_operands = max_operands,
                     .section = command,
                     .is_known_elsewhere = input.is_flag_of_a_command};
  for (const CommandSummary& known : input.commands) {
    program.sections.push_back(known.name);
    if (command == known.name) program.summary = known.summary;
  }
  return program;
}

std::vector<Option> JoinedRows(std::vector<std::vector<Option>> parts) {
  std::vector<Option> all;
  for (std::vector<Option>& part : parts) {
    std::move(part.begin(), part.end(), std::back_inserter(all));
  }
  return all;
}

std::string DataChoiceText(const DataChoice& choice) {
  std::vector<std::string> parts;
  if (!choice.classes.empty()) {
    const std::set<std::string> names = absl::StrSplit(choice.classes, ',');
    parts.push_back(absl::StrCat("classes ", absl::StrJoin(names, ",")));
  }
  if (choice.dataset_limit > 0) {
    parts.push_back(absl::StrCat("the first ", choice.dataset_limit));
  }
  if (choice.convert == Conversion::kToRgb) {
    parts.push_back("gray and alpha as RGB");
  }
  if (choice.data_seed != 0) {
    parts.push_back(absl::StrCat("seed ", choice.data_seed));
  }
  return absl::StrJoin(parts, "; ");
}

std::vector<Option> DataChoiceRows(DataChoice* choice, const char* group) {
  return {
      {"classes", group, "NAME[,NAME...]", &choice->classes, kNotEmpty,
       "of image_folder: only pictures in folders of these names, as for "
       "ddgan-train",
       "all"},
      {"dataset_limit", group, "PICTURES", &choice->dataset_limit,
       Between(0, 1e9), "only the first so many of these; 0: all"},
      {"convert", group, "",
       OneOf<Conversion>(&choice->convert, {{"refuse", Conversion::kRefuse},
                                            {"rgb", Conversion::kToRgb}}),
       kAny,
       "what becomes of gray pictures and of those with alpha where a model's "
       "are RGB; refuse: one of them is an error; rgb: gray is repeated in all "
       "channels, alpha is put on black"},
      {"data_seed", group, "N", &choice->data_seed, kAny,
       "of stacked_mnist: which digits lie together. The --seed of the "
       "training gives the images of the training"},
  };
}

std::vector<Option> ClassifierRows(std::string* classifier,
                                   std::string* cache) {
  return {
      {"classifier", kFeatures, "FILE", classifier, kNotEmpty,
       "weights of the classifier of digits; where there is no such file, it "
       "is trained on the training images (a minute) and written there",
       "digits-DIGEST.safetensors in --cache, by the digest of --data"},
      {"cache", kFeatures, "DIR", cache, kNotEmpty,
       "where features are kept, and classifiers: one file for each set of "
       "pictures, with which an interrupted command goes on. It may be "
       "removed",
       "$XDG_CACHE_HOME/ddgan/evaluate, or that of ~/.cache"},
  };
}

std::vector<Option> MeasureRows(MeasureOptions* options) {
  return JoinedRows(
      {{{"data", kData, "PATH", &options->data, kNotEmpty,
         "where the real pictures are, as for ddgan-train", kRequired},
        {"dataset", kData, "KIND", &options->dataset, kNotEmpty,
         "what they are: mnist, stacked_mnist, cifar10, image_folder or lmdb",
         "what the version was trained on"},
        {"data_samples", kData, "PICTURES", &options->data_samples,
         Between(2, 10'000'000),
         "only so many of them, drawn at random but always the same", "all"}},
       DataChoiceRows(&options->choice, kData),
       {{"features", kFeatures, "NAME", &options->features, kNotEmpty,
         "the network that turns pictures into features: efficientnet-lite0, "
         "digits, or a TorchScript FILE.pt by the convention of StyleGAN's "
         "metrics, as inception-2015-12-05.pt",
         "digits for mnist and stacked_mnist, else efficientnet-lite0"},
        {"features_digest", kFeatures, "SHA256", &options->features_digest,
         kNotEmpty,
         "digest that FILE.pt must have, since such a file is a program",
         "only known files are run"}},
       ClassifierRows(&options->classifier, &options->cache),
       {ThreadsRow(&options->threads)}});
}

std::vector<Option> ModelRows(PictureOptions* options) {
  return {
      {"model", kPictures, "DIR", &options->model, kNotEmpty,
       "the version to measure, MODEL_ROOT/MODEL/VERSION", ""},
      {"sampler", kPictures, "RULE", &options->sampler, kNotEmpty,
       "how the version makes pictures: ancestral, ddim:K for K evaluations, "
       "or pc",
       "its own rule"},
      {"seed", kPictures, "", &options->seed, kAny,
       "of the pictures, which are the first ones of this seed, and of random "
       "subsets"},
  };
}

std::vector<Option> OtherPictureRows(PictureOptions* options) {
  return {
      {"images", kPictures, "PATH", &options->images, kNotEmpty,
       "measure PNG and JPEG files instead, in a folder or a .tar; all must be "
       "squares of one size, to which the real ones are brought",
       ""},
      {"server", kPictures, "HOST:PORT", &options->server, kNotEmpty,
       "measure what a running server makes instead, by calls without TLS and "
       "token, however long they take; --model is then MODEL or "
       "MODEL/VERSION",
       ""},
  };
}

Option ThroughRow(PictureCoding* through) {
  return {"through",
          kPictures,
          "",
          OneOf<PictureCoding>(through, {{"png", PictureCoding::kPng},
                                         {"jpeg75", PictureCoding::kJpeg75}}),
          kAny,
          "the file format that the measured pictures go through: png loses "
          "nothing; jpeg75 is libjpeg's default quality with chroma halved, as "
          "the paper's published code measured"};
}

Option ThreadsRow(int* threads) {
  return {"threads",
          kReport,
          "",
          threads,
          Between(0, 256),
          "processors to use; 0: all that the process may, a container's quota "
          "rounded up. Pictures and features do not depend on it, and figures "
          "only by rounding"};
}

Option JsonRow(bool* json) {
  return {"json", kReport, "",
          json,   kAny,    "one line of JSON instead of a table"};
}

absl::Status CheckPictureOptions(const PictureOptions& options) {
  const bool model = !options.model.empty();
  const bool images = !options.images.empty();
  const bool server = !options.server.empty();
  if (images && (model || server)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--images excludes --", model ? "model" : "server",
                     ": give either somebody else's pictures or a model"));
  }
  if (!images && !model) {
    return absl::InvalidArgumentError(
        server ? "--server needs --model=MODEL or --model=MODEL/VERSION"
               : "--model is required, as --model=MODEL_ROOT/MODEL/VERSION (or "
                 "give --images)");
  }
  if (!options.sampler.empty() && (images || server)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--sampler goes only with pictures that are made here, not with --",
        images ? "images" : "server"));
  }
  return absl::OkStatus();
}

std::string DefaultFeatures(const std::string& dataset) {
  return dataset == "mnist" || dataset == "stacked_mnist"
             ? "digits"
             : "efficientnet-lite0";
}

absl::StatusOr<std::string> DefaultCacheFolder(const Environment& environment) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  const std::string cache = value("XDG_CACHE_HOME");
  if (!cache.empty()) return absl::StrCat(cache, "/ddgan/evaluate");
  const std::string home = value("HOME");
  if (!home.empty()) return absl::StrCat(home, "/.cache/ddgan/evaluate");
  return absl::InvalidArgumentError(
      "--cache is required where the environment has no HOME and no "
      "XDG_CACHE_HOME");
}

int ThreadCount(int threads) {
  return threads > 0 ? threads : std::min(UsableCpus(), 256);
}

}  // namespace ddgan

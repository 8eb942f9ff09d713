#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/command_line/command_options.h"

namespace ddgan {
namespace {

constexpr uint64_t kMaxUint32 = std::numeric_limits<uint32_t>::max();

constexpr char kImages[] = "Images";
constexpr char kStream[] = "Stream";
constexpr char kGuide[] = "Guide";
constexpr char kFiles[] = "Files";

constexpr char kAbout[] =
    R"(Makes images and writes them to files.

  ddgan generate --count=64 --seed=7 --grid --out=digits.png
      64 images in one picture
  ddgan generate --count=1000 --seed=7 --out=digits/
      digits/0.png to digits/999.png
  ddgan generate --seed=7 --first_index=12 --out=twelve.png
      number 12 of those again, the same bytes
  ddgan generate --count=16 --stream --previews --preview_dir=steps/
      each image as soon as it is done, and what it looks like on the way
  ddgan generate --count=16 --guide=strokes.png --guide_steps=2 --out=faces/
      16 variations of a picture

An image depends on the model's version, the seed and its index alone. What was
used is printed, with the command that makes the same images again.
)";

// `version` stays 0 if it is not given.
std::vector<Option> NoiseRows(GenerateCommand* command, int64_t* version) {
  v1::GenerateRequest* const request = &command->request;
  return {
      {"count", kImages, "", &command->count, AtLeast(1),
       "number of images; more than 64 are asked for in calls of 64"},
      {"seed", kImages, "",
       NumberSetter([request](uint64_t n) { request->set_seed(n); }), kAny,
       "seed of the noise, 0 to 2^64 - 1", "drawn by the server, and printed"},
      {"first_index", kImages, "", NumberSetter([request](uint64_t n) {
         request->set_first_index(static_cast<uint32_t>(n));
       }),
       Between(0, kMaxUint32), "index of the first image; the others follow it",
       "0"},
      {"version", kImages, "", version, AtLeast(1),
       "which version of the model", "the live one"},
      {"class", kImages, "",
       Choice{{"interactive", "batch"},
              [request](size_t i) {
                request->set_request_class(i == 0
                                               ? v1::REQUEST_CLASS_INTERACTIVE
                                               : v1::REQUEST_CLASS_BATCH);
              },
              nullptr},
       kAny,
       "interactive: somebody waits for the images; batch: they may take what "
       "others leave of the server",
       "interactive"},
  };
}

std::vector<Option> OutputRows(GenerateCommand* command) {
  v1::GenerateRequest* const request = &command->request;
  return {
      {"stream", kStream, "", &command->stream, kAny,
       "write each image as soon as it is done, instead of 64 at a time"},
      {"previews", kStream, "", &command->previews, kAny,
       "with --stream: also fetch what each image looks like after each step, "
       "which shows progress within a call"},
      {"preview_dir", kStream, "DIR", &command->preview_dir, kAny,
       "with --previews: a folder (made if missing) where each preview becomes "
       "a file SEED-INDEX-stepT.png, .raw8 or .float32; T counts down to 1",
       "none: previews are not kept"},
      {"guide", kGuide, "FILE", &command->guide_file, kAny,
       "a PNG file of at most 1 MiB to start from instead of noise: the images "
       "are variations of it. Transparency is composed over black; a picture "
       "that is one colour then is refused. Needs --guide_steps"},
      {"guide_steps", kGuide, "STEPS", NumberSetter([request](uint64_t n) {
         request->mutable_guide()->set_steps(static_cast<uint32_t>(n));
       }),
       Between(1, kMaxUint32),
       "denoising steps to run from the guide, 1 to all that an image of the "
       "model takes: few keep close to it, many leave it behind"},
      {"guide_fit", kGuide, "",
       Choice{{"refuse", "resize"},
              [request](size_t i) {
                request->mutable_guide()->set_fit(
                    i == 0 ? v1::GUIDE_FIT_REFUSE : v1::GUIDE_FIT_RESIZE);
              },
              nullptr},
       kAny,
       "what to do with a guide that does not have the model's size; resize "
       "does not keep its aspect ratio",
       "refuse"},
      {"grid", kFiles, "", &command->grid, kAny,
       "all images side by side in one PNG file"},
      {"out", kFiles, "PATH", &command->out, kAny,
       "a folder (made if missing, one file per image, named by its index), or "
       "a file name; for several files it holds %d, which becomes the index. "
       "-: one image, or the grid, to stdout, and what is said of it to stderr",
       "ddgan-grid.png with --grid, else ddgan-%d.png, .raw8 or .float32"},
  };
}

absl::Status CheckGenerate(const GenerateCommand& command) {
  const v1::GenerateRequest& request = command.request;
  if (command.grid && request.format() != v1::OUTPUT_FORMAT_UNSPECIFIED &&
      request.format() != v1::OUTPUT_FORMAT_PNG) {
    return absl::InvalidArgumentError(
        "--grid writes a PNG file; leave --format out");
  }
  if (command.previews && !command.stream) {
    return absl::InvalidArgumentError("--previews needs --stream");
  }
  if (!command.preview_dir.empty() && !command.previews) {
    return absl::InvalidArgumentError("--preview_dir needs --previews");
  }
  if (!command.preview_dir.empty() && command.grid) {
    return absl::InvalidArgumentError(
        "--grid keeps no previews; leave it or --preview_dir out");
  }
  if (command.guide_file.empty() && request.has_guide()) {
    return absl::InvalidArgumentError(
        "--guide_steps and --guide_fit are of use only with --guide=FILE");
  }
  if (!command.guide_file.empty() && request.guide().steps() == 0) {
    return absl::InvalidArgumentError(
        "--guide needs the number of steps to run from it: --guide_steps=N");
  }
  if (command.count - 1 > kMaxUint32 - request.first_index()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--first_index=", request.first_index(), " --count=", command.count,
        ": the last index must be at most ", kMaxUint32));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Command> ParseGenerate(const CommandInput& input) {
  GenerateCommand command;
  command.server.timeout = absl::Minutes(5);
  int64_t version = 0;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      CommandProgram("generate", {"[flags]"}, kAbout),
      Joined({NoiseRows(&command, &version),
              ImageRows(kImages, &command.request),
              OutputRows(&command),
              ConnectionRows(&command.server.address, &command.server.security),
              {TimeoutRow(&command.server.timeout,
                          "longest time for one call, retries included")}}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  if (!parsed->text.empty()) return HelpCommand{parsed->text};
  if (version > 0) command.request.set_version(version);
  absl::Status status =
      CheckConnectionSecurity(command.server.address, command.server.security);
  status.Update(CheckGenerate(command));
  if (!status.ok()) return status;
  return command;
}

}  // namespace ddgan

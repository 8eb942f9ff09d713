#include "trainer/options/train_command_line.h"

#include <utility>

#include "absl/status/status.h"
#include "engine/base/option_table.h"
#include "trainer/options/trainer_option_table.h"

namespace ddgan {
namespace {

constexpr char kConfiguration[] = "Configuration";
constexpr char kAbout[] =
    "Trains a denoising diffusion GAN and publishes versions of it into a "
    "model\n"
    "directory. Interrupt a run at any time (Ctrl-C, SIGTERM, SIGHUP): it "
    "saves its\n"
    "state, publishes, and the same command goes on from there.\n"
    "\n"
    "A configuration is a set of options for one data set, by its name or in "
    "a\n"
    "JSON file. Options that are given override it, and it overrides the\n"
    "defaults below: those of CIFAR-10's networks, and of the published "
    "program\n"
    "for the rest.\n";
constexpr char kNotes[] =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 130, 143 or 129 stopped by\n"
    "Ctrl-C, SIGTERM or SIGHUP.\n";

}  // namespace

absl::StatusOr<TrainCommandLine> ParseTrainCommandLine(
    absl::Span<const std::string> arguments, const Environment& environment) {
  TrainCommandLine line;
  TrainerOptions defaults;
  std::vector<Option> table = {
      {"config", kConfiguration, "NAME|FILE.json", &line.config, kAny,
       "a configuration's name, or the path of a JSON file (with a '/' or "
       ".json "
       "at its end) whose keys are names of flags; --config_file is another "
       "thing: flags as on the command line, which override it",
       "none"},
      {"list", kConfiguration, "", &line.list, kAny,
       "print the configurations that are built in, and end"}};
  const std::vector<Option> own = table;
  for (Option& row : TrainerOptionsAsTable(&defaults).rows) {
    table.push_back(std::move(row));
  }
  absl::StatusOr<ProgramOptions> found = FindOptions(
      {.name = "ddgan-train",
       .environment = "DDGAN_TRAIN_",
       .usage = {"--list",
                 "--config=cifar10 --data=DIR --out=MODEL_ROOT [flags]",
                 "--config=my.json --data=DIR --out=MODEL_ROOT [flags]"},
       .about = kAbout,
       .notes = kNotes,
       .summary = "train denoising diffusion GANs for ddgan-server",
       .negations = true},
      table, arguments, environment);
  if (!found.ok()) return found.status();
  line.text = std::move(found->text);
  for (GivenOption& given : found->given) {
    if (FindOption(own, given.name) == nullptr) {
      line.flags.push_back(std::move(given));
    } else if (absl::Status s = StoreOption(own, given); !s.ok()) {
      return s;
    }
  }
  return line;
}

}  // namespace ddgan

// ddgan-evaluate figure_data: numbers that figures of the paper are drawn from,
// by trainer/evaluation/figures/. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_FIGURE_DATA_COMMAND_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_FIGURE_DATA_COMMAND_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/evaluation/session/evaluate_program.h"
#include "trainer/evaluation/session/evaluation_progress.h"

namespace ddgan {

struct FigureDataOptions {
  enum class Kind { kStrip, kGrid };

  std::string text;  // Of --help: print it and end.
  Kind kind = Kind::kStrip;
  PictureOptions pictures;
  std::string data;      // Of kStrip.
  std::string dataset;   // Empty: what the version was trained on.
  DataChoice choice;     // Of kStrip: of the data set.
  int64_t picture = 0;   // Of kStrip: which of these.
  int64_t samples = 64;  // Of kGrid. [1, 10,000]
  int columns = 8;       // [1, 100]
  std::string out;       // Folder.
  int threads = 0;
};

// InvalidArgument with a sentence for the user.
absl::StatusOr<FigureDataOptions> ParseFigureData(const CommandInput& input);

// Writes the files (figure_folder.h) and says which:
//   strip  chain uint8 [L + 1, S, S, C]: x_t of a real picture at `levels`, 0
//          to T, clipped; samples uint8 [L, 3, S, S, C]: for each level but 0,
//          x0' given x_t for three latents. Also in figure.json: levels (L + 1:
//          all up to T = 16, else 17 evenly spaced), num_timesteps, picture,
//          data
//   grid   samples uint8 [samples, S, S, C]; columns
absl::StatusOr<std::string> RunFigureData(const FigureDataOptions& options,
                                          const Environment& environment,
                                          EvaluationProgress* progress);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_FIGURE_DATA_COMMAND_H_

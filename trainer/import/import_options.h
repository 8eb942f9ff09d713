// The options of ddgan-import. No LibTorch.
#ifndef DDGAN_TRAINER_IMPORT_IMPORT_OPTIONS_H_
#define DDGAN_TRAINER_IMPORT_IMPORT_OPTIONS_H_

#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/base/program_options.h"

namespace ddgan {

struct ImportOptions {
  // Of --help or --version: print it and end. The rest then means nothing.
  std::string text;
  std::string file;
  std::string model_root;
  std::string model;
  int64_t version = 1;  // >= 1
  std::string preset;   // Empty: none was named.
  // What differs from the preset: a file, or JSON itself. Empty: nothing.
  std::string config;
  std::string dataset;        // Empty: not told.
  int64_t training_step = 0;  // >= 0
};

// Of the arguments after the program's name, the environment
// (DDGAN_IMPORT_...) and a file, as program_options.h says.
//   InvalidArgument  names what is unknown, missing or out of its range
absl::StatusOr<ImportOptions> ParseImportOptions(
    absl::Span<const std::string> arguments,
    const Environment& environment = OwnEnvironment());

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_IMPORT_OPTIONS_H_

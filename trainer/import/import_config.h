// What an import is told of the model: its architecture and its data set.
#ifndef DDGAN_TRAINER_IMPORT_IMPORT_CONFIG_H_
#define DDGAN_TRAINER_IMPORT_IMPORT_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "engine/model/model_config.h"
#include "trainer/import/import_options.h"

namespace ddgan {

struct ImportConfig {
  ModelConfig model_config;
  // As told: by --dataset, else by the key "dataset" of --config, else by the
  // name of a --preset that no --config changes; "unknown" if by none.
  std::string dataset;
};

// Reads the file that options.config names, if it names one.
//   NotFound         it cannot be read
//   InvalidArgument  names the key: unknown, of the wrong type, out of range;
//                    or the text is over kMaxJsonBytes
absl::StatusOr<ImportConfig> ReadImportConfig(const ImportOptions& options);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_IMPORT_CONFIG_H_

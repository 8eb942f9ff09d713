// The files of trainer/configs/, compiled in.
#ifndef DDGAN_TRAINER_OPTIONS_BUILTIN_CONFIGS_H_
#define DDGAN_TRAINER_OPTIONS_BUILTIN_CONFIGS_H_

#include "absl/types/span.h"

namespace ddgan {

struct BuiltinConfig {
  const char* name;  // The file's, without .json.
  const char* json;  // Its text.
};

// In the order of their names. Valid for the life of the process.
absl::Span<const BuiltinConfig> BuiltinConfigs();

}  // namespace ddgan

#endif  // DDGAN_TRAINER_OPTIONS_BUILTIN_CONFIGS_H_

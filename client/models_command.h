// `ddgan models`: what the server has.
#ifndef DDGAN_CLIENT_MODELS_COMMAND_H_
#define DDGAN_CLIENT_MODELS_COMMAND_H_

#include <ostream>
#include <string>

#include "client/command_line.h"
#include "ddgan/v1/model.pb.h"

namespace ddgan {

// A table, one line per version, and below it why versions are refused. Pure.
std::string FormatModels(const v1::ListModelsResponse& models);

// Prints the table to `out`, errors to `err`. Returns the exit code, 0 or 1.
int RunModels(const ModelsCommand& command, std::ostream& out,
              std::ostream& err);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_MODELS_COMMAND_H_

// `ddgan models`: what the server has, and which of it is to serve.
#ifndef DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_
#define DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_

#include <ostream>

#include "client/command_line/command_line.h"

namespace ddgan {

// Prints the answer to `out`, progress and errors to `err`. Returns the exit
// code, 0 or 1. A pin and a rollback wait until the version is live; 1 says
// that it is not.
int RunModels(const ModelsCommand& command, std::ostream& out,
              std::ostream& err);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_

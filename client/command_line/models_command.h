// `ddgan models`: what the server has, and which of it is to serve.
#ifndef DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_
#define DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_

#include <ostream>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/command_line/command_line.h"

namespace ddgan {

// Whether `ddgan models watch` goes on after a watch that ended so: servers end
// connections of some age, and are replaced. One that ends at once would only
// do so again.
bool IsWatchedAgain(const absl::Status& end, absl::Duration lasted);

// Prints the answer to `out`, progress and errors to `err`. Returns the exit
// code, 0 or 1. A pin and a rollback wait until the version is live; 1 says
// that it is not.
int RunModels(const ModelsCommand& command, std::ostream& out,
              std::ostream& err);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_

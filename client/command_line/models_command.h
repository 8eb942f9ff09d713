// `ddgan models`: what the server has, and which of it is to serve.
#ifndef DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_
#define DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/command_line/command_line.h"
#include "ddgan/v1/model.pb.h"

namespace ddgan {

// Whether `ddgan models watch` goes on after a watch that ended so: servers end
// connections of some age, and are replaced. One that ends at once would only
// do so again.
bool IsWatchedAgain(const absl::Status& end, absl::Duration lasted);

// The models of a watch that ended, by name, that are not there any more: the
// next watch tells only of those that are. Pure.
std::vector<std::string> ModelsThatWent(
    const std::map<std::string, v1::Model>& known,
    const v1::ListModelsResponse& now);

// Prints the answer to `out`, progress and errors to `err`. Returns the exit
// code, 0 or 1. A pin and a rollback wait until the version is live; 1 says
// that it is not.
int RunModels(const ModelsCommand& command, std::ostream& out,
              std::ostream& err);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_MODELS_COMMAND_H_

// What the state of a model's version is called: in tables, in JSON and on the
// playground's page.
#ifndef DDGAN_CLIENT_VERSION_STATE_H_
#define DDGAN_CLIENT_VERSION_STATE_H_

#include <string>

#include "ddgan/v1/model.pb.h"

namespace ddgan {

// "live", "refused", "on disk", "loading", "waiting" or "loaded"; "state 9" of
// a server that knows more states than this client.
std::string VersionStateName(v1::ModelVersionState state);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_VERSION_STATE_H_

// Whether a version that was pinned has become live. Pure.
#ifndef DDGAN_CLIENT_COMMAND_LINE_PIN_OUTCOME_H_
#define DDGAN_CLIENT_COMMAND_LINE_PIN_OUTCOME_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "ddgan/v1/model.pb.h"

namespace ddgan {

// What the pin of `version` has come to, by what the server says of the model
// now; nothing while that is open.
//   OK                  it is live
//   FailedPrecondition  it is refused; says why
//   NotFound            it is gone
//   Aborted             somebody has pinned another version meanwhile, or none
std::optional<absl::Status> PinOutcome(const v1::Model& model, int64_t version);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_PIN_OUTCOME_H_

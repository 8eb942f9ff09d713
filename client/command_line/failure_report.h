// What a person reads when a call has failed.
#ifndef DDGAN_CLIENT_COMMAND_LINE_FAILURE_REPORT_H_
#define DDGAN_CLIENT_COMMAND_LINE_FAILURE_REPORT_H_

#include <string>

#include "absl/status/status.h"

namespace ddgan {

// "UNAVAILABLE: connection refused", and on a second line what to do about it
// where something can be said. `server` is the address that was called. Pure.
std::string DescribeFailure(const absl::Status& failure,
                            const std::string& server);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_FAILURE_REPORT_H_

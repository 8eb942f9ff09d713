// What `ddgan models --json` and `ddgan health --json` print; client/README.md
// is the manual of their keys. Pure functions.
#ifndef DDGAN_CLIENT_COMMAND_LINE_REPORT_JSON_H_
#define DDGAN_CLIENT_COMMAND_LINE_REPORT_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "ddgan/v1/model.pb.h"
#include "grpc/health/v1/health.pb.h"

namespace ddgan {

// An object with every key that there is, null where nothing is known, in lines
// that a person can read, and a line's end. Bytes of the server's texts that
// are no UTF-8 become U+FFFD.
std::string ModelsJson(const v1::ListModelsResponse& models);

// The same, in one line. `status` is the server's answer for `service`, empty
// for the server as a whole, or why there is none.
std::string HealthJson(
    const std::string& server, const std::string& service,
    const absl::StatusOr<grpc::health::v1::HealthCheckResponse::ServingStatus>&
        status);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_REPORT_JSON_H_

#include "client/command_line/health_command.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/command_line/failure_report.h"
#include "client/command_line/report_json.h"
#include "client/image_client.h"
#include "client/secure_channel.h"

namespace ddgan {

using HealthResponse = grpc::health::v1::HealthCheckResponse;

int RunHealth(const HealthCommand& command, std::ostream& out,
              std::ostream& err) {
  ImageClient::Options options;
  options.timeout = command.server.timeout;
  options.retry.max_attempts = 1;
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel =
      OpenChannel(command.server.address, command.server.security);
  if (!channel.ok()) {
    err << "ddgan: " << channel.status().message() << '\n';
    return 1;
  }
  const ImageClient client(*channel, options);
  const absl::StatusOr<HealthResponse::ServingStatus> status =
      client.CheckHealth(command.service);
  if (command.json) {
    out << HealthJson(command.server.address, command.service, status);
  }
  if (absl::IsNotFound(status.status())) {
    err << "ddgan: NOT_FOUND: the server knows no service '" << command.service
        << "'\n";
    return 1;
  }
  if (!status.ok()) {
    err << "ddgan: " << DescribeFailure(status.status(), command.server.address)
        << '\n';
    return 1;
  }
  if (!command.json) {
    out << HealthResponse::ServingStatus_Name(*status) << '\n';
  }
  return *status == HealthResponse::SERVING ? 0 : 1;
}

}  // namespace ddgan

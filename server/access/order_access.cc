#include "server/access/order_access.h"

namespace ddgan {

OrderAccess DecideOrderAccess(bool loopback, bool has_admin_port, bool tokens) {
  if (has_admin_port) return OrderAccess::kElsewhere;
  return loopback || tokens ? OrderAccess::kTaken : OrderAccess::kNobody;
}

absl::Status CheckOrder(OrderAccess access) {
  switch (access) {
    case OrderAccess::kTaken:
      break;
    case OrderAccess::kElsewhere:
      return absl::UnimplementedError(
          "changes of models are served on the port of --admin_listen only");
    case OrderAccess::kNobody:
      return absl::PermissionDeniedError(
          "this port is open to the network and asks for no token, so it "
          "changes no models: start the server with --admin_listen and call "
          "that port, or with --token_file and call with a token of the scope "
          "admin");
  }
  return absl::OkStatus();
}

}  // namespace ddgan

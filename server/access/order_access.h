// Whether a gRPC port takes orders: the calls that change which version serves
// (PinVersion, UnpinVersion and RollBack of ddgan.v1.ModelService).
#ifndef DDGAN_SERVER_ACCESS_ORDER_ACCESS_H_
#define DDGAN_SERVER_ACCESS_ORDER_ACCESS_H_

#include "absl/status/status.h"

namespace ddgan {

enum class OrderAccess {
  kTaken,      // From whoever reaches the port and, where there are tokens, has
               // one with the scope `admin`.
  kElsewhere,  // The admin port takes them.
  kNobody,     // They would come from anybody in the network.
};

// Of the port that serves images; an admin port takes all orders. `loopback`:
// only this machine reaches it. `tokens`: calls need one. Pure.
OrderAccess DecideOrderAccess(bool loopback, bool has_admin_port, bool tokens);

// What the caller of an order is told; OK if orders are taken.
//   Unimplemented     of kElsewhere
//   PermissionDenied  of kNobody; says what the operator can do about it
absl::Status CheckOrder(OrderAccess access);

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_ORDER_ACCESS_H_

// A unary call that answers at once or from another thread, and makes no image,
// from its arrival to its line in the access log.
#ifndef DDGAN_SERVER_CALLS_LOGGED_CALL_H_
#define DDGAN_SERVER_CALLS_LOGGED_CALL_H_

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/access/access_control.h"
#include "server/access/access_record.h"

namespace ddgan {

// What the access log says of a call before it is served. `model` is the one
// asked for; `access` is null where calls need no token.
AccessRecord RecordOf(AccessControl* access,
                      grpc::CallbackServerContext* context, const char* method,
                      const std::string& model);

// Thread-compatible.
class LoggedCall {
 public:
  // Must outlive the call.
  struct Parts {
    AccessRecorder* access_log = nullptr;
    AccessControl* access = nullptr;  // Null: calls need no token.
  };

  // The call has just arrived. `context` is gRPC's, valid until End.
  LoggedCall(const Parts& parts, grpc::CallbackServerContext* context,
             const char* method, const std::string& model);

  LoggedCall(LoggedCall&&) = default;

  // What the service returns to gRPC.
  grpc::ServerUnaryReactor* reactor() const { return reactor_; }
  // For what else is known.
  AccessRecord& record() { return record_; }

  // Logs the call and finishes it. Once, last.
  void End(const absl::Status& status,
           const google::protobuf::Message& response);

 private:
  AccessRecorder* access_log_;
  grpc::CallbackServerContext* context_;
  grpc::ServerUnaryReactor* reactor_;
  absl::Time arrived_;
  AccessRecord record_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_LOGGED_CALL_H_

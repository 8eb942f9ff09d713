#include "server/calls/logged_call.h"

#include <cstdint>

#include "engine/base/monotonic_clock.h"
#include "server/access/caller.h"
#include "server/access/caller_name.h"
#include "server/calls/call_trace.h"
#include "server/calls/grpc_status.h"

namespace ddgan {

AccessRecord RecordOf(AccessControl* access,
                      grpc::CallbackServerContext* context, const char* method,
                      const std::string& model) {
  AccessRecord record;
  record.trace = TraceCall(context);
  record.method = method;
  record.caller = CallerForLog(access, *context);
  record.model = model.substr(0, kMaxNameSize);
  return record;
}

LoggedCall::LoggedCall(const Parts& parts, grpc::CallbackServerContext* context,
                       const char* method, const std::string& model)
    : access_log_(parts.access_log),
      context_(context),
      reactor_(context->DefaultReactor()),
      arrived_(RealMonotonicClock()->Now()),
      record_(RecordOf(parts.access, context, method, model)) {}

void LoggedCall::End(const absl::Status& status,
                     const google::protobuf::Message& response) {
  record_.status = status;
  record_.total = RealMonotonicClock()->Now() - arrived_;
  if (status.ok()) {
    record_.reply_bytes = static_cast<int64_t>(response.ByteSizeLong());
  }
  access_log_->Write(record_);
  reactor_->Finish(ToGrpcStatus(status, context_));
}

}  // namespace ddgan

#include "server/connections/gated_service.h"

#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/rpc_service_method.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

using grpc::internal::MethodHandler;
using grpc::internal::RpcMethod;
using grpc::internal::RpcServiceMethod;

PeerEndpoint PeerOf(grpc_call* call) {
  char* const text = grpc_call_get_peer(call);
  PeerEndpoint peer = EndpointOf(absl::string_view(text));
  gpr_free(text);
  return peer;
}

absl::Status CheckMetadata(const grpc::CallbackServerContext& context,
                           int64_t max_bytes) {
  size_t bytes = 0;
  for (const auto& [key, value] : context.client_metadata()) {
    bytes += key.size() + value.size();
  }
  if (static_cast<int64_t>(bytes) <= max_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the call has ", bytes, " bytes of metadata, of at most ", max_bytes));
}

// Of a method that does not book what it keeps of it. `message` may be null.
absl::Status CheckRequestSize(grpc_byte_buffer* message) {
  constexpr int64_t max_bytes = GatedService::kMaxSmallRequestBytes;
  if (message == nullptr) return absl::OkStatus();
  const size_t bytes = grpc_byte_buffer_length(message);
  if (static_cast<int64_t>(bytes) <= max_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the request has ", bytes, " bytes, of at most ", max_bytes));
}

// Both libraries number the codes alike.
void CancelCall(grpc_call* call, const absl::Status& status) {
  grpc_call_cancel_with_status(call,
                               static_cast<grpc_status_code>(status.code()),
                               std::string(status.message()).c_str(), nullptr);
}

// A call from its beginning until its request is here. gRPC's handler takes it
// from then on.
class ArrivingCall final : public RequestGate::Request,
                           public std::enable_shared_from_this<ArrivingCall> {
 public:
  ArrivingCall(const MethodHandler::HandlerParameter& call, PeerEndpoint peer,
               MethodHandler* handler, bool books,
               const GatedService::Options* options)
      : call_(call),
        core_call_(call.call->call()),
        peer_(std::move(peer)),
        handler_(handler),
        books_(books),
        options_(options) {
    if (books) in_flight_.emplace(options->calls);
    // The gate may give up a call that has been answered meanwhile.
    grpc_call_ref(core_call_);
    received_.functor.functor_run = &HandleReceived;
    received_.functor.inlineable = false;
    received_.call = this;
  }
  ~ArrivingCall() override { grpc_call_unref(core_call_); }

  void Receive() override {
    receiving_ = shared_from_this();
    grpc_op op = {};
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &message_;
    // A null message is the end of a call that was cancelled, as an error is.
    if (grpc_call_start_batch(core_call_, &op, 1, &received_.functor,
                              nullptr) != GRPC_CALL_OK) {
      HandleReceived(&received_.functor, 0);
    }
  }

  void Refuse(const absl::Status& status) override {
    GiveUp(status);
    Deliver();
  }

  void GiveUp(const absl::Status& status) override {
    CancelCall(core_call_, status);
  }

 private:
  // What gRPC calls back with.
  struct Received {
    grpc_completion_queue_functor functor = {};
    ArrivingCall* call = nullptr;
  };

  static void HandleReceived(grpc_completion_queue_functor* functor,
                             int /*ok*/) {
    ArrivingCall* const call = reinterpret_cast<Received*>(functor)->call;
    const std::shared_ptr<ArrivingCall> self = std::move(call->receiving_);
    if (self->message_ != nullptr) self->options_->on_progress(self->peer_);
    self->options_->gate->Leave(*self);
    self->Deliver();
  }

  // As gRPC does with a message that it has received by itself. The handler
  // owns the call from then on, request or not.
  void Deliver() {
    const absl::Status size =
        books_ ? absl::OkStatus() : CheckRequestSize(message_);
    if (!size.ok()) {
      GiveUp(size);
      grpc_byte_buffer_destroy(std::exchange(message_, nullptr));
    }
    grpc::Status status;
    void* data = nullptr;
    void* const request = handler_->Deserialize(
        core_call_, std::exchange(message_, nullptr), &status, &data);
    if (!status.ok()) {
      // The handler would say UNIMPLEMENTED. No effect on a call that is over.
      GiveUp(absl::InvalidArgumentError(
          "the message is not one of this method's requests"));
    }
    handler_->RunHandler({call_.call, call_.server_context, request, status,
                          data, call_.call_requester});
    // The call that was made of it counts by itself.
    in_flight_.reset();
  }

  const MethodHandler::HandlerParameter call_;
  grpc_call* const core_call_;
  const PeerEndpoint peer_;
  MethodHandler* const handler_;
  const bool books_;
  const GatedService::Options* const options_;

  std::optional<CallsInFlight::Call> in_flight_;
  grpc_byte_buffer* message_ = nullptr;
  Received received_;
  std::shared_ptr<ArrivingCall> receiving_;  // What gRPC holds.
};

const grpc::CallbackServerContext* ContextOf(
    const MethodHandler::HandlerParameter& call) {
  return static_cast<const grpc::CallbackServerContext*>(call.server_context);
}

class GatedHandler final : public MethodHandler {
 public:
  // `books`: what it keeps of its request.
  GatedHandler(MethodHandler* handler, bool books,
               const GatedService::Options* options)
      : handler_(handler), books_(books), options_(options) {}

  void RunHandler(const HandlerParameter& call) override {
    PeerEndpoint peer = PeerOf(call.call->call());
    options_->on_progress(peer);
    std::string group = PeerGroup(peer.host);
    auto arriving = std::make_shared<ArrivingCall>(call, std::move(peer),
                                                   handler_, books_, options_);
    const absl::Status status =
        CheckMetadata(*ContextOf(call), options_->max_metadata_bytes);
    if (!status.ok()) {
      arriving->Refuse(status);
      return;
    }
    options_->gate->Enter(group, std::move(arriving));
  }

 private:
  MethodHandler* const handler_;
  const bool books_;
  const GatedService::Options* const options_;
};

class PassingHandler final : public MethodHandler {
 public:
  PassingHandler(MethodHandler* handler, const GatedService::Options* options)
      : handler_(handler), options_(options) {}

  void RunHandler(const HandlerParameter& call) override {
    options_->on_progress(PeerOf(call.call->call()));
    const absl::Status status =
        CheckMetadata(*ContextOf(call), options_->max_metadata_bytes);
    // The handler starts a call that is over.
    if (!status.ok()) CancelCall(call.call->call(), status);
    handler_->RunHandler(call);
  }

 private:
  MethodHandler* const handler_;
  const GatedService::Options* const options_;
};

// The handler is what a service has for gRPC alone.
class Opened : public grpc::Service {
 public:
  using grpc::Service::GetHandler;
};

MethodHandler* HandlerOf(grpc::Service* service, int index) {
  return (service->*&Opened::GetHandler)(index);
}

}  // namespace

GatedService::GatedService(
    grpc::Service* service,
    const google::protobuf::ServiceDescriptor& descriptor, Options options)
    : options_(std::move(options)) {
  for (int i = 0; i < descriptor.method_count(); ++i) {
    const google::protobuf::MethodDescriptor& method = *descriptor.method(i);
    paths_.push_back(
        absl::StrCat("/", descriptor.full_name(), "/", method.name()));
    AddMethod(new RpcServiceMethod(paths_.back().c_str(),
                                   RpcMethod::BIDI_STREAMING, nullptr));
    MethodHandler* const handler = HandlerOf(service, i);
    const bool books = options_.booking_methods.count(method.name()) > 0;
    // gRPC owns it.
    if (method.client_streaming()) {
      MarkMethodCallback(i, new PassingHandler(handler, &options_));
    } else {
      MarkMethodCallback(i, new GatedHandler(handler, books, &options_));
    }
  }
}

}  // namespace ddgan

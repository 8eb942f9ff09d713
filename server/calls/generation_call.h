// What Generate and GenerateStream have in common: a gRPC call that makes
// images, from its arrival to its line in the access log. What it needs is
// booked by call_admission.h; how its images come about is in call_lifetime.h.
#ifndef DDGAN_SERVER_CALLS_GENERATION_CALL_H_
#define DDGAN_SERVER_CALLS_GENERATION_CALL_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/generation.h"
#include "server/access/access_control.h"
#include "server/access/access_observer.h"
#include "server/access/access_record.h"
#include "server/access/trace_context.h"
#include "server/calls/call_lifetime.h"
#include "server/calls/call_statistics.h"
#include "server/connections/calls_in_flight.h"
#include "server/connections/write_watch.h"

namespace ddgan {

// A reactor derives from it and from gRPC's reactor class. Thread-safe, as
// CallLifetime is. gRPC, the engine, the guide decoder and the encoder hold the
// call while they need it; it is deleted with the last of them.
class GenerationCall : public CallLifetime {
 public:
  // What all calls share; must outlive every call.
  struct Parts {
    Engine* engine = nullptr;
    EncodePool* encode_pool = nullptr;
    GuideDecoder* guide_decoder = nullptr;
    ByteLedger* ledger = nullptr;
    const WriteWatch::Parts* writes = nullptr;
    CallObserver* metrics = nullptr;
    AccessObserver* access_metrics = nullptr;
    AccessControl* access = nullptr;  // Null: calls need no token.
    AccessRecorder* access_log = nullptr;
    CallsInFlight* calls = nullptr;
    CallStatistics* statistics = nullptr;
    // Calls are traced if their caller's trace is recorded; of the traces that
    // begin here this ratio is, in [0, 1]. Unset: none is traced.
    std::optional<double> trace_ratio;
    // As in CallLifetime::Parts.
    ImageCache* cache = nullptr;
    DeadlineTimer* timer = nullptr;
  };

 protected:
  struct Kind {
    RpcMethod method;
    bool streams = false;   // Whether messages are sent before the end.
    bool previews = false;  // Whether HandlePreview is wanted.
    // A deadline that the request itself has, from its arrival; that of gRPC
    // holds as well.
    absl::Duration timeout = absl::InfiniteDuration();
  };

  // `context` is gRPC's, valid until OnDone.
  GenerationCall(const Parts& parts, const Kind& kind,
                 grpc::CallbackServerContext* context);

  // The message that gRPC has received, which it would keep until the call is
  // done, in memory up to 30 times as large as on the wire.
  template <class Message>
  static Message TakeMessage(const Message* received) {
    Message taken;
    // gRPC's own object, which it hands out as const.
    taken.Swap(const_cast<Message*>(received));
    return taken;
  }

  // Either of them once, before the reactor is handed to gRPC, which holds the
  // call from then until LetGo. A request with a guide is submitted by the
  // guide decoder, when it is its turn; of the message only the guide is kept
  // until then.
  void Start(v1::GenerateRequest request);
  // A request without a guide, of any other message, of which `kept_bytes` are
  // kept until LetGo. `model` is the one asked for, whether or not the request
  // is good.
  void Start(const std::string& model, absl::StatusOr<ConvertedRequest> request,
             int64_t kept_bytes);

  // For OnCancel. A guide that waits to be decoded never is.
  void Cancel();

  // For OnDone: gives back what is booked of the ledger. The call may be
  // deleted by it.
  void LetGo();

  // Around every write, and before Finish.
  void BeginWrite();
  void EndWrite();

  // From HandleEnd on: how it went, as CallLifetime::Outcome has it.
  absl::Status Outcome() const {
    return CallLifetime::Outcome(writes_.timed_out());
  }

  // From HandleEnd on, once: counts and logs the call, whose reply had so many
  // bytes, and returns what to finish it with.
  grpc::Status Conclude(int64_t reply_bytes);

 private:
  // As SizeReply in call_admission.h.
  virtual absl::StatusOr<ReplySize> SizeReply(const ConvertedRequest& request,
                                              const ImageShape& shape,
                                              int64_t request_bytes) const = 0;

  struct Asked {
    const std::string& model;
    absl::StatusOr<ConvertedRequest> request;
    int64_t bytes = 0;  // Kept of the message, the guide's included.
    v1::Guide guide;    // Empty: it has none.
  };

  void StartAsked(Asked asked);
  absl::Status Admit(Asked asked, Admission* admission);
  // Submits with the guide decoded, unless nobody waits any more.
  absl::Status DecodeAndSubmit(const v1::Guide& guide,
                               std::unique_ptr<Reservation> place);
  AccessRecord RecordOf(const Ending& ending, absl::Duration total,
                        int64_t reply_bytes) const;

  // Constant after construction.
  const Parts parts_;
  const Kind kind_;
  grpc::CallbackServerContext* const context_;
  const CallsInFlight::Call in_flight_;
  const TraceContext trace_;

  // Constant once started.
  std::string asked_model_;
  std::string caller_;  // For the log.
  std::optional<GuideDecoder::Id> guide_;

  WriteWatch writes_;

  // gRPC's share in the ownership.
  std::shared_ptr<CallLifetime> held_for_grpc_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GENERATION_CALL_H_

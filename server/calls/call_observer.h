// What calls announce; telemetry turns it into metrics.
#ifndef DDGAN_SERVER_CALLS_CALL_OBSERVER_H_
#define DDGAN_SERVER_CALLS_CALL_OBSERVER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/connections/byte_ledger.h"

namespace ddgan {

struct CallTimeline;  // server/calls/call_timeline.h
struct TraceContext;  // server/access/trace_context.h

// The calls that make images, which metrics tell apart.
enum class RpcMethod { kGenerate, kGenerateStream, kModelInfer };

// Where an image comes from, where images are kept (image_cache.h): it was
// there already, it is on its way for another call, or it is made for this one.
enum class ImageSource { kKept, kJoined, kMade };

// As its service calls it: "Generate".
const char* NameOf(RpcMethod method);
// The service's full name: "ddgan.v1.ImageGeneration".
const char* ServiceOf(RpcMethod method);

// Thread-safe; methods return quickly. Whoever does not care for an event
// leaves its method alone.
class CallObserver {
 public:
  virtual ~CallObserver() = default;

  // A call ended, `duration` after it came in. `model` is the name of the model
  // that took it; empty if it was refused before one did.
  virtual void OnCallFinished(RpcMethod /*method*/,
                              const std::string& /*model*/,
                              absl::StatusCode /*code*/,
                              absl::Duration /*duration*/) {}
  // A call is traced. Its steps in the engine have TraceTagOf(trace) as their
  // tag (call_timeline.h).
  virtual void OnTraceBegun(const TraceContext& /*trace*/) {}
  // The same call has ended, and its reply has left or never will.
  virtual void OnTraceEnded(const CallTimeline& /*timeline*/) {}
  // A stream's first preview was written, `duration` after the call came in.
  virtual void OnFirstPreview(absl::Duration /*duration*/) {}
  virtual void OnPreviewsDropped(int /*count*/) {}
  // One image or preview was encoded as PNG.
  virtual void OnEncoded(absl::Duration /*duration*/) {}
  // A call was turned away because too many images wait to be encoded.
  virtual void OnEncoderFull() {}
  // A call was turned away because too many guides wait to be decoded.
  virtual void OnGuidesFull() {}
  // A call was turned away because unfinished and unread replies hold too much.
  virtual void OnReplyBytesFull(ByteLedger::Refusal /*refusal*/) {}
  // An image was asked for that may have been kept.
  virtual void OnImageAsked(ImageSource /*source*/) {}
  // An image was kept, and `evicted` others are no more; together they take so
  // many bytes now.
  virtual void OnImageKept(int64_t /*bytes*/, int /*evicted*/) {}
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_CALL_OBSERVER_H_

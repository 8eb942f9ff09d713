// When the parts of a call were, of calls that are traced; telemetry makes
// spans of it. Other calls have no timeline and cost nothing.
#ifndef DDGAN_SERVER_CALLS_CALL_TIMELINE_H_
#define DDGAN_SERVER_CALLS_CALL_TIMELINE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/access/access_record.h"
#include "server/access/trace_context.h"
#include "server/calls/call_observer.h"

namespace ddgan {

// Times are of RealMonotonicClock().
struct CallPart {
  enum class Kind {
    kAdmission,  // From its arrival until everything was booked, or refused.
    kGuide,      // Decoding the guide, without the wait for its turn.
    kQueue,      // From submission to the first step, or the end without one.
    kEncode,     // One image or preview, in every format asked for.
    kWrite,  // A message, or the reply with its status, from when gRPC got it
             // until it has sent it.
  };

  Kind kind = Kind::kAdmission;
  absl::Time start;
  absl::Time end;
  // Of kEncode: the image's place in the request; and how many steps it has
  // left, if it is a preview.
  std::optional<uint32_t> position = std::nullopt;
  std::optional<int> preview_step = std::nullopt;
};

struct CallTimeline {
  RpcMethod method = RpcMethod::kGenerate;
  AccessRecord record;
  absl::Time arrived;
  absl::Time ended;
  // In the order in which they ended.
  std::vector<CallPart> parts;
  int parts_left_out = 0;  // Beyond CallTimer::kMaxParts.
};

// GenerationRequest::trace_tag of a call: its span's id, which is not 0.
uint64_t TraceTagOf(const TraceContext& trace);

// Takes the times of one call. Thread-safe.
class CallTimer {
 public:
  // A call of 64 images has more parts if it has many previews.
  static constexpr size_t kMaxParts = 512;

  void Add(const CallPart& part) ABSL_LOCKS_EXCLUDED(mu_);

  // One write at a time. EndWrite has no effect if none has begun.
  void BeginWrite(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  void EndWrite(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // Before Finish: how the call went.
  void SetRecord(AccessRecord record) ABSL_LOCKS_EXCLUDED(mu_);

  // Once, last.
  CallTimeline Finish(RpcMethod method, absl::Time arrived, absl::Time ended)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void AddLocked(const CallPart& part) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Mutex mu_;
  CallTimeline timeline_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Time> writing_since_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_CALL_TIMELINE_H_

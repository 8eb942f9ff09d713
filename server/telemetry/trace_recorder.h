// Puts together what calls and the engine tell of traced calls, and hands it on
// as spans; and the metric of those.
#ifndef DDGAN_SERVER_TELEMETRY_TRACE_RECORDER_H_
#define DDGAN_SERVER_TELEMETRY_TRACE_RECORDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "engine/api/engine_observer.h"
#include "engine/base/clock.h"
#include "server/access/trace_context.h"
#include "server/calls/call_observer.h"
#include "server/calls/call_timeline.h"
#include "server/telemetry/call_spans.h"
#include "server/telemetry/metrics_registry.h"
#include "server/telemetry/trace_export.h"

namespace ddgan {

// Thread-safe, but for what is said.
class TraceRecorder : public virtual EngineObserver,
                      public virtual CallObserver {
 public:
  // `clock` is the one that the times of calls and steps come from, and
  // `wall_clock` tells the time of day. Both must outlive the recorder.
  TraceRecorder(MetricsRegistry* registry, Clock* clock, Clock* wall_clock);

  // Before any call is traced, once: as TraceExport::Start. No effect without
  // an endpoint.
  absl::Status StartTraces(const TraceOptions& options);
  // The same with spans that go elsewhere.
  void SendSpansTo(std::unique_ptr<TraceExport> to) { export_ = std::move(to); }
  // After all calls and lanes have ended: sends what waits, as ~TraceExport.
  void StopTraces() { export_.reset(); }

  void OnTraceBegun(const TraceContext& trace) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnTracedStep(const TracedStep& step) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnTraceEnded(const CallTimeline& timeline) override
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Call {
    SpanIdentity identity;
    CallSteps steps;
  };

  // What the time of day is ahead of clock_ by now.
  absl::Duration ToWallClock() const {
    return wall_clock_->Now() - clock_->Now();
  }

  // Constant after construction; the metrics themselves are thread-safe.
  Clock* const clock_;
  Clock* const wall_clock_;
  prometheus::Family<prometheus::Counter>& spans_;

  // Constant while calls are traced.
  std::unique_ptr<TraceExport> export_;

  absl::Mutex mu_;
  // Calls that have not ended, by tag.
  std::map<uint64_t, Call> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_TRACE_RECORDER_H_

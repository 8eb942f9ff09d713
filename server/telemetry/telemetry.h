// What the rooms below announce, as metrics and as traces.
#ifndef DDGAN_SERVER_TELEMETRY_TELEMETRY_H_
#define DDGAN_SERVER_TELEMETRY_TELEMETRY_H_

#include "engine/base/clock.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/trace_recorder.h"

namespace ddgan {

// Thread-safe, as its parts are.
class Telemetry : public Metrics, public TraceRecorder {
 public:
  // `clock` is the engine's, and must outlive this.
  explicit Telemetry(Clock* clock)
      : Metrics(clock), TraceRecorder(registry(), clock, RealClock()) {}
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_TELEMETRY_H_

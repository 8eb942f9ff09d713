#include "server/telemetry/trace_recorder.h"

#include <algorithm>
#include <utility>

#include "engine/base/entropy.h"

namespace ddgan {
namespace {

const char* LabelOf(TraceExport::Result result) {
  switch (result) {
    case TraceExport::Result::kExported:
      return "exported";
    case TraceExport::Result::kQueueFull:
      return "queue_full";
    case TraceExport::Result::kFailed:
      return "failed";
  }
  return "unknown";
}

// No part is 0.
SpanIdentity DrawIdentity() {
  SpanIdentity identity;
  for (uint64_t* part :
       {&identity.trace_high, &identity.trace_low, &identity.span}) {
    while (*part == 0) *part = DrawEntropy();
  }
  return identity;
}

// Where `step` is noted for the call; null if no more of its steps are kept.
CallStep* NoteStep(const TracedStep& step, const SpanIdentity& batch,
                   CallSteps* noted) {
  std::vector<CallStep>& steps = noted->steps;
  if (!steps.empty() && steps.back().batch == batch) return &steps.back();
  if (steps.size() >= kMaxCallSteps) return nullptr;
  return &steps.emplace_back(CallStep{.batch = batch,
                                      .start = step.start,
                                      .end = step.end,
                                      .lane = step.device,
                                      .batch_size = step.batch_size,
                                      .positions = {},
                                      .steps = {},
                                      .status = step.status});
}

}  // namespace

TraceRecorder::TraceRecorder(MetricsRegistry* registry, Clock* clock,
                             Clock* wall_clock)
    : clock_(clock),
      wall_clock_(wall_clock),
      spans_(registry->Counters(
          "ddgan_trace_spans_total",
          "Spans of traced calls and batches, by what became of them: exported "
          "to the collector, or lost.")) {}

absl::Status TraceRecorder::StartTraces(const TraceOptions& options) {
  if (!options.endpoint.has_value()) return absl::OkStatus();
  // From the start on, so that an increase from 0 is seen.
  std::map<TraceExport::Result, prometheus::Counter*> counters;
  for (const auto result :
       {TraceExport::Result::kExported, TraceExport::Result::kQueueFull,
        TraceExport::Result::kFailed}) {
    counters[result] = &spans_.Add({{"result", LabelOf(result)}});
  }
  absl::StatusOr<std::unique_ptr<TraceExport>> started = TraceExport::Start(
      options, [counters](TraceExport::Result result, size_t count) {
        counters.at(result)->Increment(static_cast<double>(count));
      });
  if (!started.ok()) return started.status();
  export_ = *std::move(started);
  return absl::OkStatus();
}

void TraceRecorder::OnTraceBegun(const TraceContext& trace) {
  absl::MutexLock lock(&mu_);
  calls_[TraceTagOf(trace)].identity = IdentityOf(trace);
}

void TraceRecorder::OnTracedStep(const TracedStep& step) {
  const SpanIdentity batch = DrawIdentity();
  std::vector<SpanIdentity> links;
  {
    absl::MutexLock lock(&mu_);
    for (const TracedStep::Row& row : step.rows) {
      const auto found = calls_.find(row.tag);
      if (found == calls_.end()) continue;  // It did not wait for the step.
      Call& call = found->second;
      if (std::find(links.begin(), links.end(), call.identity) == links.end()) {
        links.push_back(call.identity);
        if (call.steps.steps.size() >= kMaxCallSteps) ++call.steps.left_out;
      }
      CallStep* const noted = NoteStep(step, batch, &call.steps);
      if (noted == nullptr) continue;
      noted->positions.push_back(row.position);
      noted->steps.push_back(row.step);
    }
  }
  if (links.empty()) return;
  export_->Add({SpanOf(step, batch, std::move(links), ToWallClock())});
}

void TraceRecorder::OnTraceEnded(const CallTimeline& timeline) {
  CallSteps steps;
  {
    absl::MutexLock lock(&mu_);
    auto call = calls_.extract(TraceTagOf(timeline.record.trace));
    if (!call.empty()) steps = std::move(call.mapped().steps);
  }
  export_->Add(SpansOf(timeline, steps, ToWallClock(), DrawEntropy));
}

}  // namespace ddgan

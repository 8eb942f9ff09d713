#include "server/telemetry/call_metrics.h"

namespace ddgan {
namespace {

// Bounds in seconds. Requests add queue, encoding and a count of up to 64 to
// the time of their steps.
const prometheus::Histogram::BucketBoundaries kRequestSeconds = {
    0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100};
const prometheus::Histogram::BucketBoundaries kEncodeSeconds = {
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2};

// Codes that count against availability (recording_rules.yaml).
constexpr const char* kFailures[] = {"UNKNOWN", "INTERNAL", "UNAVAILABLE",
                                     "DATA_LOSS"};

}  // namespace

CallMetrics::CallMetrics(MetricsRegistry* registry)
    : requests_(registry->Counters(
          "ddgan_requests_total",
          "Calls that ended, by method and gRPC status code; model is empty "
          "if none took the call.")),
      duration_(registry->Histograms(
          "ddgan_request_duration_seconds",
          "Time from a call's arrival to its end, by method and gRPC status "
          "code.")),
      time_to_first_preview_(
          registry
              ->Histograms("ddgan_time_to_first_preview_seconds",
                           "Time from a GenerateStream call's arrival until "
                           "its first preview is written.")
              .Add({}, kRequestSeconds)),
      previews_dropped_(
          registry
              ->Counters("ddgan_previews_dropped_total",
                         "Previews that a newer one or the image overtook "
                         "before they were sent.")
              .Add({})),
      encode_duration_(
          registry
              ->Histograms("ddgan_encode_duration_seconds",
                           "Time to encode one image or preview as PNG.")
              .Add({}, kEncodeSeconds)) {
  OnModel("");  // Of calls that no model takes.
}

void CallMetrics::OnModel(const std::string& model) {
  {
    absl::MutexLock lock(&mu_);
    if (!models_.insert(model).second) return;
  }
  // Of a counter that begins with a failure, rates would not see that one.
  for (const RpcMethod method :
       {RpcMethod::kGenerate, RpcMethod::kGenerateStream,
        RpcMethod::kModelInfer}) {
    for (const char* failed : kFailures) {
      requests_.Add(
          {{"method", NameOf(method)}, {"model", model}, {"code", failed}});
    }
  }
}

void CallMetrics::OnCallFinished(RpcMethod method, const std::string& model,
                                 absl::StatusCode code,
                                 absl::Duration duration) {
  const std::string name = absl::StatusCodeToString(code);
  requests_.Add({{"method", NameOf(method)}, {"model", model}, {"code", name}})
      .Increment();
  duration_.Add({{"method", NameOf(method)}, {"code", name}}, kRequestSeconds)
      .Observe(absl::ToDoubleSeconds(duration));
}

void CallMetrics::OnFirstPreview(absl::Duration duration) {
  time_to_first_preview_.Observe(absl::ToDoubleSeconds(duration));
}

void CallMetrics::OnPreviewsDropped(int count) {
  previews_dropped_.Increment(count);
}

void CallMetrics::OnEncoded(absl::Duration duration) {
  encode_duration_.Observe(absl::ToDoubleSeconds(duration));
}

}  // namespace ddgan

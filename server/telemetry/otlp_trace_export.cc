// The spans' way through OpenTelemetry: its batch processor, whose thread
// exports, and its exporter. The processor drops without a word what its queue
// has no room for, so what waits is counted here.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "engine/base/entropy.h"
#include "engine/base/monotonic_clock.h"
#include "opentelemetry/exporters/otlp/otlp_grpc_exporter_factory.h"
#include "opentelemetry/sdk/common/global_log_handler.h"
#include "opentelemetry/sdk/resource/resource.h"
#include "opentelemetry/sdk/resource/resource_detector.h"
#include "opentelemetry/sdk/trace/batch_span_processor.h"
#include "opentelemetry/trace/trace_state.h"
#include "server/access/file_reload.h"
#include "server/build_version.h"
#include "server/telemetry/trace_export.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

namespace otlp = opentelemetry::exporter::otlp;
namespace sdk = opentelemetry::sdk;
namespace trace = opentelemetry::trace;
using sdk::common::ExportResult;
using Spans =
    opentelemetry::nostd::span<std::unique_ptr<sdk::trace::Recordable>>;

constexpr char kProgram[] = "ddgan-server";
constexpr size_t kMaxBatch = 512;
constexpr size_t kMaxPemBytes = size_t{1} << 20;

absl::StatusOr<std::string> ReadAuthorities(const std::string& path) {
  absl::StatusOr<std::string> content = ReadSmallFile(path, kMaxPemBytes);
  if (!content.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--otlp_tls_ca: ", content.status().message()));
  }
  // gRPC would take it for "not given".
  if (content->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--otlp_tls_ca=", path, " is empty"));
  }
  return content;
}

// `headers`, which the environment names, as gRPC takes them: it ends the
// process for others.
absl::StatusOr<otlp::OtlpHeaders> CheckedHeaders(
    const otlp::OtlpHeaders& headers) {
  otlp::OtlpHeaders checked;
  for (const auto& [name, value] : headers) {
    const std::string key = absl::AsciiStrToLower(name);
    const bool good_key =
        !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                 c == '_' || c == '.';
        });
    if (!good_key ||
        !std::all_of(value.begin(), value.end(), absl::ascii_isprint)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "OTEL_EXPORTER_OTLP_HEADERS: a key has letters, digits, '-', '_' and "
          "'.', and a value printable ASCII; that of ",
          absl::CHexEscape(name), " does not"));
    }
    checked.emplace(key, value);
  }
  return checked;
}

// Otherwise it writes to the process' own output.
class LogToSpdlog final : public sdk::common::internal_log::LogHandler {
 public:
  void Handle(sdk::common::internal_log::LogLevel, const char*, int,
              const char* message,
              const sdk::common::AttributeMap&) noexcept override {
    spdlog::debug("OpenTelemetry: {}", message);
  }
};

// A random UUID (RFC 9562, version 4).
std::string DrawUuid() {
  const uint64_t high = (DrawEntropy() & ~uint64_t{0xf000}) | 0x4000;
  const uint64_t low = (DrawEntropy() >> 2) | uint64_t{1} << 63;
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", high >> 32,
                         high >> 16 & 0xffff, high & 0xffff, low >> 48,
                         low & 0xffffffffffff);
}

// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win, as elsewhere.
sdk::resource::Resource OwnResource() {
  char host[HOST_NAME_MAX + 1] = "";
  (void)gethostname(host, sizeof(host) - 1);
  sdk::resource::ResourceAttributes attributes;
  attributes.SetAttribute("service.name", kProgram);
  attributes.SetAttribute("service.version", kBuildVersion);
  attributes.SetAttribute("service.instance.id", DrawUuid());
  attributes.SetAttribute("host.name", host);
  return sdk::resource::Resource::Create(attributes)
      .Merge(sdk::resource::OTELResourceDetector().Detect());
}

void StoreBytes(uint64_t value, uint8_t* to) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    *to++ = static_cast<uint8_t>(value >> shift);
  }
}

trace::SpanContext ContextOf(const SpanIdentity& identity,
                             const std::string& state = "") {
  uint8_t trace_id[trace::TraceId::kSize];
  uint8_t span_id[trace::SpanId::kSize];
  StoreBytes(identity.trace_high, trace_id);
  StoreBytes(identity.trace_low, trace_id + sizeof(uint64_t));
  StoreBytes(identity.span, span_id);
  return trace::SpanContext(trace::TraceId(trace_id), trace::SpanId(span_id),
                            trace::TraceFlags(trace::TraceFlags::kIsSampled),
                            /*is_remote=*/false,
                            trace::TraceState::FromHeader(state));
}

opentelemetry::common::AttributeValue ValueOf(const TraceSpan::Value& value) {
  if (const auto* const number = std::get_if<int64_t>(&value)) return *number;
  if (const auto* const text = std::get_if<std::string>(&value)) {
    return opentelemetry::nostd::string_view(text->data(), text->size());
  }
  const auto& list = std::get<std::vector<int64_t>>(value);
  return opentelemetry::nostd::span<const int64_t>(list.data(), list.size());
}

void Fill(const TraceSpan& span, sdk::trace::Recordable* recordable) {
  trace::SpanId parent;  // Invalid: there is none.
  if (span.parent != 0) {
    uint8_t bytes[trace::SpanId::kSize];
    StoreBytes(span.parent, bytes);
    parent = trace::SpanId(bytes);
  }
  recordable->SetIdentity(ContextOf(span.identity, span.state), parent);
  recordable->SetName(span.name);
  recordable->SetSpanKind(span.answers_a_call ? trace::SpanKind::kServer
                                              : trace::SpanKind::kInternal);
  recordable->SetStartTime(
      opentelemetry::common::SystemTimestamp(absl::ToChronoTime(span.start)));
  recordable->SetDuration(absl::ToChronoNanoseconds(
      std::max(span.end - span.start, absl::ZeroDuration())));
  for (const auto& [key, value] : span.attributes) {
    recordable->SetAttribute(key, ValueOf(value));
  }
  for (const SpanIdentity& link : span.links) {
    recordable->AddLink(ContextOf(link));
  }
  if (!span.error.ok()) {
    recordable->SetStatus(trace::StatusCode::kError,
                          std::string(span.error.message()));
  }
}

// What the processor's thread and those that add spans share.
struct Waiting {
  explicit Waiting(TraceExport::Counter on_spans)
      : counter(std::move(on_spans)) {}

  const TraceExport::Counter counter;
  std::atomic<size_t> spans = 0;

  absl::Mutex mu;
  // Nothing is sent from then on.
  absl::Time end ABSL_GUARDED_BY(mu) = absl::InfiniteFuture();
};

// Counts what `exporter` exports. On the processor's thread, but
// MakeRecordable.
class CountingExporter final : public sdk::trace::SpanExporter {
 public:
  CountingExporter(std::string collector,
                   std::unique_ptr<sdk::trace::SpanExporter> exporter,
                   std::shared_ptr<Waiting> waiting)
      : collector_(std::move(collector)),
        exporter_(std::move(exporter)),
        waiting_(std::move(waiting)) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return exporter_->MakeRecordable();
  }

  ExportResult Export(const Spans& spans) noexcept override {
    const size_t count = spans.size();
    const ExportResult result =
        MaySend() ? exporter_->Export(spans) : ExportResult::kFailure;
    const bool ok = result == ExportResult::kSuccess;
    waiting_->counter(
        ok ? TraceExport::Result::kExported : TraceExport::Result::kFailed,
        count);
    waiting_->spans -= count;
    Log(ok);
    return result;
  }

  bool ForceFlush(std::chrono::microseconds timeout) noexcept override {
    return exporter_->ForceFlush(timeout);
  }
  bool Shutdown(std::chrono::microseconds timeout) noexcept override {
    return exporter_->Shutdown(timeout);
  }

 private:
  bool MaySend() {
    absl::MutexLock lock(&waiting_->mu);
    return RealMonotonicClock()->Now() < waiting_->end;
  }

  // Once for each change.
  void Log(bool ok) {
    if (ok == last_ok_) return;
    last_ok_ = ok;
    if (ok) {
      spdlog::info("traces: {} takes spans again", collector_);
    } else {
      spdlog::warn(
          "traces: {} takes no spans, which are lost; lines of "
          "--log_level=debug say why",
          collector_);
    }
  }

  const std::string collector_;
  const std::unique_ptr<sdk::trace::SpanExporter> exporter_;
  const std::shared_ptr<Waiting> waiting_;
  bool last_ok_ = true;
};

class OtlpTraceExport final : public TraceExport {
 public:
  OtlpTraceExport(std::string collector,
                  std::unique_ptr<sdk::trace::SpanExporter> exporter,
                  Counter counter)
      : resource_(OwnResource()),
        scope_(sdk::instrumentationscope::InstrumentationScope::Create(
            kProgram, kBuildVersion)),
        waiting_(std::make_shared<Waiting>(std::move(counter))),
        processor_(
            std::make_unique<CountingExporter>(std::move(collector),
                                               std::move(exporter), waiting_),
            {.max_queue_size = kMaxWaiting,
             .schedule_delay_millis = absl::ToChronoMilliseconds(kInterval),
             .max_export_batch_size = kMaxBatch}) {}

  ~OtlpTraceExport() override {
    {
      absl::MutexLock lock(&waiting_->mu);
      waiting_->end = RealMonotonicClock()->Now() + kFlushTimeout;
    }
    processor_.Shutdown();  // Exports what waits.
  }

  void Add(const std::vector<TraceSpan>& spans) override {
    for (size_t i = 0; i < spans.size(); ++i) {
      if (waiting_->spans.fetch_add(1) >= kMaxWaiting) {
        --waiting_->spans;
        waiting_->counter(Result::kQueueFull, spans.size() - i);
        return;
      }
      std::unique_ptr<sdk::trace::Recordable> recordable =
          processor_.MakeRecordable();
      Fill(spans[i], recordable.get());
      recordable->SetResource(resource_);
      recordable->SetInstrumentationScope(*scope_);
      processor_.OnEnd(std::move(recordable));
    }
  }

 private:
  // Constant after construction; what waits points to them.
  const sdk::resource::Resource resource_;
  const std::unique_ptr<sdk::instrumentationscope::InstrumentationScope> scope_;

  const std::shared_ptr<Waiting> waiting_;
  sdk::trace::BatchSpanProcessor processor_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TraceExport>> TraceExport::Start(
    const TraceOptions& options, Counter counter) {
  // Before anything looks at the environment, and complains about it.
  sdk::common::internal_log::GlobalLogHandler::SetLogHandler(
      opentelemetry::nostd::shared_ptr<sdk::common::internal_log::LogHandler>(
          new LogToSpdlog()));
  const std::string collector = ToString(*options.endpoint);
  otlp::OtlpGrpcExporterOptions exporter;
  exporter.endpoint = absl::StrCat("http://", collector);
  exporter.use_ssl_credentials = !options.tls_ca.empty();
  exporter.ssl_credentials_cacert_path.clear();
  exporter.ssl_credentials_cacert_as_string.clear();
  exporter.timeout = absl::ToChronoMilliseconds(kTimeout);
  exporter.retry_policy_max_attempts = 0;
  absl::StatusOr<otlp::OtlpHeaders> headers = CheckedHeaders(exporter.metadata);
  if (!headers.ok()) return headers.status();
  exporter.metadata = *std::move(headers);
  if (exporter.use_ssl_credentials) {
    absl::StatusOr<std::string> authorities = ReadAuthorities(options.tls_ca);
    if (!authorities.ok()) return authorities.status();
    exporter.ssl_credentials_cacert_as_string = *std::move(authorities);
    exporter.endpoint = absl::StrCat("https://", collector);
  }
  // What runs beside the server is not behind a proxy. The exporter makes its
  // channel itself, and nothing else here calls by gRPC.
  if (IsLoopback(*options.endpoint)) {
    setenv("no_grpc_proxy", options.endpoint->host.c_str(), /*replace=*/1);
  }
  return std::make_unique<OtlpTraceExport>(
      collector, otlp::OtlpGrpcExporterFactory::Create(exporter),
      std::move(counter));
}

}  // namespace ddgan

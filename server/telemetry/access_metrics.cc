#include "server/telemetry/access_metrics.h"

namespace ddgan {
namespace {

constexpr char kTakenLabel[] = "taken";
constexpr char kRefusedLabel[] = "refused";

const char* LabelOf(SecurityFiles files) {
  switch (files) {
    case SecurityFiles::kTls:
      return "tls";
    case SecurityFiles::kTokens:
      return "tokens";
  }
  return "unknown";
}

}  // namespace

AccessMetrics::AccessMetrics(MetricsRegistry* registry)
    : denied_(registry->Counters(
          "ddgan_access_denied_total",
          "Calls turned away for want of a token, a scope or a rule.")),
      tls_reloads_(registry->Counters(
          "ddgan_tls_reloads_total",
          "New certificate files found, and whether they were taken or the "
          "old ones kept.")),
      token_reloads_(registry->Counters(
          "ddgan_token_reloads_total",
          "New token files found, and whether they were taken or the old one "
          "kept.")),
      files_refused_(registry->Gauges(
          "ddgan_security_files_refused",
          "1 while the certificate or token files on disk are refused and "
          "older ones are in force.")),
      certificate_expiry_(registry->Gauges(
          "ddgan_tls_certificate_expiry_timestamp_seconds",
          "When the certificate for new connections expires, since 1970; no "
          "series without TLS.")),
      lines_lost_(registry
                      ->Counters("ddgan_access_log_lines_lost_total",
                                 "Access log lines that were dropped because "
                                 "whoever reads the log was too slow.")
                      .Add({})),
      log_lines_lost_(
          registry
              ->Counters("ddgan_log_lines_lost_total",
                         "Log lines that were dropped because whoever reads "
                         "the log was too slow, or that stderr did not take.")
              .Add({})) {
  for (int i = 0; i < kNumAccessDenials; ++i) {
    denied_.Add({{"reason", NameOf(static_cast<AccessDenial>(i))}});
  }
}

void AccessMetrics::OnAccessDenied(AccessDenial denial) {
  denied_.Add({{"reason", NameOf(denial)}}).Increment();
}

void AccessMetrics::ExpectReloads(SecurityFiles files) {
  ReloadsOf(files).Add({{"result", kTakenLabel}});
  ReloadsOf(files).Add({{"result", kRefusedLabel}});
  OnSecurityFilesRefused(files, false);
}

void AccessMetrics::OnSecurityReload(SecurityFiles files, bool taken) {
  ReloadsOf(files)
      .Add({{"result", taken ? kTakenLabel : kRefusedLabel}})
      .Increment();
}

void AccessMetrics::OnSecurityFilesRefused(SecurityFiles files, bool refused) {
  files_refused_.Add({{"files", LabelOf(files)}}).Set(refused ? 1 : 0);
}

void AccessMetrics::OnCertificate(absl::Time expires) {
  certificate_expiry_.Add({}).Set(
      static_cast<double>(absl::ToUnixSeconds(expires)));
}

void AccessMetrics::OnAccessLinesLost(int count) {
  lines_lost_.Increment(count);
}

void AccessMetrics::SetLogLinesLost(int64_t total) {
  absl::MutexLock lock(&mu_);
  log_lines_lost_.Increment(static_cast<double>(total) -
                            log_lines_lost_.Value());
}

prometheus::Family<prometheus::Counter>& AccessMetrics::ReloadsOf(
    SecurityFiles files) {
  return files == SecurityFiles::kTls ? tls_reloads_ : token_reloads_;
}

}  // namespace ddgan

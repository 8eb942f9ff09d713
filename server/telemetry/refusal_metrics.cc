#include "server/telemetry/refusal_metrics.h"

namespace ddgan {
namespace {

const char* LabelOf(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kQueueFull:
      return "queue_full";
    case RefusalReason::kTooLarge:
      return "too_large";
    case RefusalReason::kDeadline:
      return "deadline";
    case RefusalReason::kUnmeetableDeadline:
      return "deadline_unmeetable";
    case RefusalReason::kDraining:
      return "draining";
    case RefusalReason::kNoDevice:
      return "no_device";
  }
  return "unknown";
}

const char* LabelOf(QuotaRefusal reason) {
  switch (reason) {
    case QuotaRefusal::kRate:
      return "quota_rate";
    case QuotaRefusal::kInFlight:
      return "quota_in_flight";
    case QuotaRefusal::kTooMany:
      return "quota_count";
  }
  return "unknown";
}

const char* LabelOf(ByteLedger::Refusal refusal) {
  switch (refusal) {
    case ByteLedger::Refusal::kTotal:
      return "reply_bytes";
    case ByteLedger::Refusal::kCaller:
      return "reply_bytes_caller";
  }
  return "unknown";
}

constexpr char kEncoderFullLabel[] = "encoder_full";
constexpr char kGuidesFullLabel[] = "guides_full";

}  // namespace

RefusalMetrics::RefusalMetrics(MetricsRegistry* registry)
    : refused_(registry->Counters(
          "ddgan_rejected_total",
          "Requests turned away although they were valid.")) {
  for (RefusalReason reason :
       {RefusalReason::kQueueFull, RefusalReason::kTooLarge,
        RefusalReason::kDeadline, RefusalReason::kUnmeetableDeadline,
        RefusalReason::kDraining, RefusalReason::kNoDevice}) {
    refused_.Add({{"reason", LabelOf(reason)}});
  }
  for (QuotaRefusal reason :
       {QuotaRefusal::kRate, QuotaRefusal::kInFlight, QuotaRefusal::kTooMany}) {
    refused_.Add({{"reason", LabelOf(reason)}});
  }
  for (ByteLedger::Refusal refusal :
       {ByteLedger::Refusal::kTotal, ByteLedger::Refusal::kCaller}) {
    refused_.Add({{"reason", LabelOf(refusal)}});
  }
  refused_.Add({{"reason", kEncoderFullLabel}});
  refused_.Add({{"reason", kGuidesFullLabel}});
}

void RefusalMetrics::OnRefused(RefusalReason reason) {
  refused_.Add({{"reason", LabelOf(reason)}}).Increment();
}

void RefusalMetrics::OnQuotaRefusal(QuotaRefusal reason) {
  refused_.Add({{"reason", LabelOf(reason)}}).Increment();
}

void RefusalMetrics::OnEncoderFull() {
  refused_.Add({{"reason", kEncoderFullLabel}}).Increment();
}

void RefusalMetrics::OnGuidesFull() {
  refused_.Add({{"reason", kGuidesFullLabel}}).Increment();
}

void RefusalMetrics::OnReplyBytesFull(ByteLedger::Refusal refusal) {
  refused_.Add({{"reason", LabelOf(refusal)}}).Increment();
}

}  // namespace ddgan

#include "server/telemetry/connection_metrics.h"

namespace ddgan {
namespace {

const char* LabelOf(WriteTimeout what) {
  switch (what) {
    case WriteTimeout::kCall:
      return "call";
    case WriteTimeout::kConnection:
      return "connection";
  }
  return "unknown";
}

const char* LabelOf(ConnectionRefusal reason) {
  switch (reason) {
    case ConnectionRefusal::kTotal:
      return "total";
    case ConnectionRefusal::kPeer:
      return "peer";
    case ConnectionRefusal::kDescriptors:
      return "descriptors";
  }
  return "unknown";
}

const char* LabelOf(RequestLoss reason) {
  switch (reason) {
    case RequestLoss::kNoRoom:
      return "no_room";
    case RequestLoss::kTimeout:
      return "timeout";
    case RequestLoss::kTooMuch:
      return "too_much";
  }
  return "unknown";
}

}  // namespace

ConnectionMetrics::ConnectionMetrics(MetricsRegistry* registry)
    : open_(registry
                ->Gauges("ddgan_connections",
                         "Connections that are open on the gRPC port.")
                .Add({})),
      refused_(registry->Counters(
          "ddgan_connections_refused_total",
          "Connections that were closed as soon as they came in.")),
      write_timeouts_(registry->Counters(
          "ddgan_write_timeouts_total",
          "Calls and connections that were ended because their peer did not "
          "read in time.")),
      requests_lost_(registry->Counters(
          "ddgan_requests_not_received_total",
          "Requests that had begun and did not come in whole: too many at a "
          "time, or too slow.")),
      reply_bytes_(registry
                       ->Gauges("ddgan_reply_bytes",
                                "Memory booked for requests that are being "
                                "answered and for replies that are not read "
                                "yet.")
                       .Add({})) {
  for (ConnectionRefusal reason :
       {ConnectionRefusal::kTotal, ConnectionRefusal::kPeer,
        ConnectionRefusal::kDescriptors}) {
    refused_.Add({{"reason", LabelOf(reason)}});
  }
  for (WriteTimeout what : {WriteTimeout::kCall, WriteTimeout::kConnection}) {
    write_timeouts_.Add({{"what", LabelOf(what)}});
  }
  for (RequestLoss reason :
       {RequestLoss::kNoRoom, RequestLoss::kTimeout, RequestLoss::kTooMuch}) {
    requests_lost_.Add({{"reason", LabelOf(reason)}});
  }
}

void ConnectionMetrics::OnConnections(int open) { open_.Set(open); }

void ConnectionMetrics::OnConnectionRefused(ConnectionRefusal reason) {
  refused_.Add({{"reason", LabelOf(reason)}}).Increment();
}

void ConnectionMetrics::OnWriteTimeout(WriteTimeout what) {
  write_timeouts_.Add({{"what", LabelOf(what)}}).Increment();
}

void ConnectionMetrics::OnRequestNotReceived(RequestLoss reason) {
  requests_lost_.Add({{"reason", LabelOf(reason)}}).Increment();
}

void ConnectionMetrics::OnReplyBytes(int64_t bytes) {
  reply_bytes_.Set(static_cast<double>(bytes));
}

}  // namespace ddgan

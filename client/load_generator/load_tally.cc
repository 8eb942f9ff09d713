#include "client/load_generator/load_tally.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "client/image_client.h"

namespace ddgan {
namespace {

// Server and client do not agree on the time to the millisecond. A server that
// drops a call this shortly before its deadline has not refused it.
constexpr absl::Duration kDeadlineSlack = absl::Milliseconds(5);

// With more different counts than this, powers of two share a row.
constexpr size_t kMaxCountRows = 8;

// First and last count of the row that `count` is in.
std::pair<uint32_t, uint32_t> CountRange(uint32_t count, bool many) {
  if (!many) return {count, count};
  const uint32_t first = std::bit_floor(count);
  return {first, std::min(2 * first - 1, ImageClient::kMaxCountPerCall)};
}

}  // namespace

CallFate FateOf(absl::StatusCode code, Abort abort, absl::Duration ended,
                absl::Duration deadline) {
  switch (code) {
    case absl::StatusCode::kOk:
      return CallFate::kOk;
    case absl::StatusCode::kResourceExhausted:
      return CallFate::kRefused;
    case absl::StatusCode::kDeadlineExceeded:
      return ended < deadline - kDeadlineSlack ? CallFate::kRefused
                                               : CallFate::kFailed;
    case absl::StatusCode::kCancelled:
      if (abort == Abort::kCancelled) return CallFate::kCancelled;
      if (abort == Abort::kTimedOut) return CallFate::kUnanswered;
      return CallFate::kFailed;
    default:
      return CallFate::kFailed;
  }
}

LoadTally::LoadTally(const LoadOptions& options,
                     std::map<uint32_t, absl::Duration> standalone)
    : options_(options),
      standalone_(std::move(standalone)),
      measured_end_(options.warmup + options.duration),
      many_counts_(DifferentCounts(options.mix).size() > kMaxCountRows) {}

void LoadTally::Add(const FinishedCall& call) {
  AddToWindows(call);
  if (call.due < options_.warmup) return;
  ++calls_.scheduled;
  switch (call.fate) {
    case CallFate::kOk:
      ++calls_.ok;
      ++versions_[call.version];
      break;
    case CallFate::kRefused:
      ++calls_.refused;
      refused_.Record(call.ended - call.due);
      ++errors_[absl::StatusCodeToString(call.code)];
      break;
    case CallFate::kFailed:
      ++calls_.failed;
      ++errors_[absl::StatusCodeToString(call.code)];
      break;
    case CallFate::kCancelled:
      ++calls_.cancelled;
      break;
    case CallFate::kUnanswered:
      ++calls_.unanswered;
      break;
    case CallFate::kUnsent:
      ++calls_.unsent;
      break;
  }
  const absl::Duration send_delay = call.sent - call.due;
  if (send_delay > kSentLate) ++sent_late_;
  max_send_delay_ = std::max(max_send_delay_, send_delay);
  AddToGroup(call, &all_);
  AddToGroup(call, &by_class_[call.plan.request_class]);
  AddToGroup(call, &by_count_[CountRange(call.plan.count, many_counts_)]);
}

void LoadTally::AddToGroup(const FinishedCall& call, Group* group) const {
  if (call.fate == CallFate::kCancelled) return;
  ++group->calls;
  if (call.fate != CallFate::kOk) return;
  const absl::Duration latency = call.ended - call.due;
  group->ok.Record(latency);
  const auto alone = standalone_.find(call.plan.count);
  if (alone != standalone_.end() && latency <= 3 * alone->second) {
    ++group->within_3x;
  }
}

void LoadTally::AddToWindows(const FinishedCall& call) {
  if (Window* window = WindowAt(call.due)) ++window->row.scheduled;
  Window* window = WindowAt(call.ended);
  if (window == nullptr) return;
  switch (call.fate) {
    case CallFate::kOk:
      ++window->row.ok;
      window->row.images += call.plan.count;
      window->ok.Record(call.ended - call.due);
      if (call.ended < measured_end_) {
        ++ok_in_time_;
        images_in_time_ += call.plan.count;
      }
      break;
    case CallFate::kRefused:
      ++window->row.refused;
      break;
    case CallFate::kFailed:
    case CallFate::kUnanswered:
      ++window->row.failed;
      break;
    case CallFate::kCancelled:
      ++window->row.cancelled;
      break;
    case CallFate::kUnsent:
      ++window->row.unsent;
      break;
  }
}

LoadTally::Window* LoadTally::WindowAt(absl::Duration time) {
  if (time < options_.warmup) return nullptr;
  const auto second =
      static_cast<size_t>(absl::ToInt64Seconds(time - options_.warmup));
  if (second >= windows_.size()) windows_.resize(second + 1);
  return &windows_[second];
}

LatencyRow LoadTally::Row(const std::string& name, const Group& group) const {
  LatencyRow row;
  row.group = name;
  row.calls = group.ok.count();
  row.p50 = group.ok.Percentile(50);
  row.p90 = group.ok.Percentile(90);
  row.p99 = group.ok.Percentile(99);
  row.p999 = group.ok.Percentile(99.9);
  row.max = group.ok.max();
  if (!standalone_.empty() && group.calls > 0) {
    row.within_3x =
        static_cast<double>(group.within_3x) / static_cast<double>(group.calls);
  }
  return row;
}

LoadReport LoadTally::Report(absl::Duration now) const {
  LoadReport report;
  report.options = options_;
  report.standalone = standalone_;
  report.measured = std::max(std::min(now, measured_end_) - options_.warmup,
                             absl::ZeroDuration());
  report.drain = std::max(now - measured_end_, absl::ZeroDuration());
  report.calls = calls_;
  report.errors = errors_;
  report.versions = versions_;
  report.sent_late = sent_late_;
  report.max_send_delay = max_send_delay_;
  const double seconds = absl::ToDoubleSeconds(report.measured);
  if (seconds > 0.0) {
    report.calls_per_second = static_cast<double>(ok_in_time_) / seconds;
    report.images_per_second = static_cast<double>(images_in_time_) / seconds;
  }

  report.latencies.push_back(Row("all", all_));
  if (by_class_.size() > 1) {
    for (const auto& [request_class, group] : by_class_) {
      report.latencies.push_back(Row(ClassName(request_class), group));
    }
  }
  if (by_count_.size() > 1) {
    for (const auto& [range, group] : by_count_) {
      report.latencies.push_back(
          Row(range.first == range.second
                  ? absl::StrCat("count ", range.first)
                  : absl::StrCat("count ", range.first, "-", range.second),
              group));
    }
  }
  if (refused_.count() > 0) {
    Group refused;  // Of no use to the share within 3x.
    refused.ok = refused_;
    report.latencies.push_back(Row("refused", refused));
  }

  for (const Window& window : windows_) {
    report.windows.push_back(window.row);
    report.windows.back().p50 = window.ok.Percentile(50);
    report.windows.back().p99 = window.ok.Percentile(99);
  }
  return report;
}

}  // namespace ddgan

#include "client/load_generator/request_mix.h"

#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/image_client.h"
#include "client/load_generator/uniform_random.h"

namespace ddgan {
namespace {

constexpr char kWantedCounts[] =
    "wanted counts from 1 to 64, such as 4, 1:0.9,16:0.1 or 1-16";
constexpr char kWantedClasses[] =
    "wanted interactive or batch, such as interactive:0.8,batch:0.2";
constexpr char kWantedDeadlines[] =
    "wanted times above 0 or none, such as none:0.5,2s:0.5";

// The parts of a list, each with its weight. Empty if one has none above 0.
std::vector<Weighted<std::string>> SplitList(const std::string& text) {
  std::vector<Weighted<std::string>> parts;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<std::string, std::string> halves =
        absl::StrSplit(part, absl::MaxSplits(':', 1));
    Weighted<std::string> weighted = {halves.first};
    if (part.find(':') != absl::string_view::npos &&
        (!absl::SimpleAtod(halves.second, &weighted.weight) ||
         !std::isfinite(weighted.weight) || weighted.weight <= 0.0)) {
      return {};
    }
    parts.push_back(std::move(weighted));
  }
  return parts;
}

template <typename T>
const T& Draw(const std::vector<Weighted<T>>& choices,
              std::mt19937_64* engine) {
  double sum = 0.0;
  for (const Weighted<T>& choice : choices) sum += choice.weight;
  double left = Uniform(engine) * sum;
  for (const Weighted<T>& choice : choices) {
    left -= choice.weight;
    if (left < 0.0) return choice.value;
  }
  return choices.back().value;  // The weights' sum was rounded up.
}

}  // namespace

absl::StatusOr<std::vector<Weighted<uint32_t>>> ParseCounts(
    const std::string& text) {
  std::vector<Weighted<uint32_t>> counts;
  for (const Weighted<std::string>& part : SplitList(text)) {
    const std::pair<std::string, std::string> ends =
        absl::StrSplit(part.value, absl::MaxSplits('-', 1));
    uint32_t first = 0;
    uint32_t last = 0;
    const bool is_range = part.value.find('-') != std::string::npos;
    if (!absl::SimpleAtoi(ends.first, &first) ||
        !absl::SimpleAtoi(is_range ? ends.second : ends.first, &last) ||
        first < 1 || last < first || last > ImageClient::kMaxCountPerCall) {
      return absl::InvalidArgumentError(kWantedCounts);
    }
    for (uint32_t count = first; count <= last; ++count) {
      counts.push_back({count, part.weight / (last - first + 1)});
    }
  }
  if (counts.empty()) return absl::InvalidArgumentError(kWantedCounts);
  return counts;
}

absl::StatusOr<std::vector<Weighted<v1::RequestClass>>> ParseClasses(
    const std::string& text) {
  std::vector<Weighted<v1::RequestClass>> classes;
  for (const Weighted<std::string>& part : SplitList(text)) {
    if (part.value == "interactive") {
      classes.push_back({v1::REQUEST_CLASS_INTERACTIVE, part.weight});
    } else if (part.value == "batch") {
      classes.push_back({v1::REQUEST_CLASS_BATCH, part.weight});
    } else {
      return absl::InvalidArgumentError(kWantedClasses);
    }
  }
  if (classes.empty()) return absl::InvalidArgumentError(kWantedClasses);
  return classes;
}

absl::StatusOr<std::vector<Weighted<absl::Duration>>> ParseDeadlines(
    const std::string& text) {
  std::vector<Weighted<absl::Duration>> deadlines;
  for (const Weighted<std::string>& part : SplitList(text)) {
    absl::Duration deadline = absl::InfiniteDuration();
    if (part.value != "none" && (!absl::ParseDuration(part.value, &deadline) ||
                                 deadline <= absl::ZeroDuration())) {
      return absl::InvalidArgumentError(kWantedDeadlines);
    }
    deadlines.push_back({deadline, part.weight});
  }
  if (deadlines.empty()) return absl::InvalidArgumentError(kWantedDeadlines);
  return deadlines;
}

std::set<uint32_t> DifferentCounts(const MixOptions& options) {
  std::set<uint32_t> counts;
  for (const Weighted<uint32_t>& count : options.counts) {
    counts.insert(count.value);
  }
  return counts;
}

std::string ClassName(v1::RequestClass request_class) {
  return request_class == v1::REQUEST_CLASS_BATCH ? "batch" : "interactive";
}

RequestMix::RequestMix(MixOptions options, uint64_t seed)
    : options_(std::move(options)), seed_(seed), engine_(seed) {}

CallPlan RequestMix::Next() {
  CallPlan plan;
  plan.count = Draw(options_.counts, &engine_);
  plan.request_class = Draw(options_.classes, &engine_);
  plan.deadline = Draw(options_.deadlines, &engine_);
  const bool cancels = Uniform(&engine_) < options_.cancel;
  const double cancel_after = Uniform(&engine_);
  if (cancels) plan.cancel_after = cancel_after;
  const uint64_t seed = engine_();
  plan.seed =
      options_.seed_pool == 0 ? seed : seed_ + seed % options_.seed_pool;
  const uint64_t client = engine_();
  if (options_.client_ids != 0) {
    plan.client_id = static_cast<uint32_t>(client % options_.client_ids);
  }
  return plan;
}

}  // namespace ddgan

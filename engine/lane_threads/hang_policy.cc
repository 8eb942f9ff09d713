#include "engine/lane_threads/hang_policy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

const char* KindName(LaneActivity::Kind kind) {
  switch (kind) {
    case LaneActivity::Kind::kNone:
      return "nothing";
    case LaneActivity::Kind::kCreation:
      return "the making of its runner";
    case LaneActivity::Kind::kProbe:
      return "the probe of its runner";
    case LaneActivity::Kind::kStep:
      return "a step";
    case LaneActivity::Kind::kSlice:
      return "a step of a trial";
  }
  return "";
}

}  // namespace

absl::Duration HangLimit(const LaneActivity& activity) {
  if (activity.kind == LaneActivity::Kind::kNone) {
    return absl::InfiniteDuration();
  }
  return activity.expected
             ? std::max(kHangMultiple * *activity.expected, kShortestHang)
             : kUnmeasuredHang;
}

HangVerdict JudgeActivity(const LaneActivity& activity, absl::Duration seen) {
  const absl::Duration limit = HangLimit(activity);
  if (seen < limit) return HangVerdict::kFine;
  return seen < limit + kLostAfter ? HangVerdict::kHung : HangVerdict::kLost;
}

std::string DescribeHang(const LaneActivity& activity, absl::Duration seen) {
  std::string text =
      absl::StrCat(KindName(activity.kind), " has not ended for ",
                   absl::FormatDuration(absl::Trunc(seen, absl::Seconds(1))));
  if (activity.expected) {
    absl::StrAppend(
        &text, " (expected: ", absl::FormatDuration(*activity.expected), ")");
  }
  return text;
}

absl::Duration SeenSince(absl::Time last_look, absl::Time now) {
  return std::clamp(now - last_look, absl::ZeroDuration(), kLongestLook);
}

absl::Duration ActivityWatch::Look(const LaneActivity& activity,
                                   absl::Duration since_last_look,
                                   absl::Time now) {
  if (activity.number == number_) {
    seen_ += since_last_look;
  } else {
    number_ = activity.number;
    seen_ = std::clamp(now - activity.started, absl::ZeroDuration(),
                       since_last_look);
  }
  return seen_;
}

}  // namespace ddgan

#include "trainer/distributed/c10d_errors.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ddgan {

absl::string_view FirstLine(absl::string_view message) {
  return message.substr(0, message.find('\n')).substr(0, 300);
}

absl::Status CollectiveError(absl::string_view message,
                             absl::Duration timeout) {
  // Gloo says "Timed out waiting 2000ms for recv operation to complete", and
  // "Application timeout caused pair closure" of what it then cuts off; NCCL
  // "Watchdog caught collective operation timeout" and "timed out".
  const std::string lower = absl::AsciiStrToLower(message);
  if (absl::StrContains(lower, "timed out") ||
      absl::StrContains(lower, "timeout")) {
    return absl::DeadlineExceededError(
        absl::StrCat("process group: no answer from another process within ",
                     absl::FormatDuration(timeout), ": ", FirstLine(message)));
  }
  return absl::UnavailableError(
      absl::StrCat("process group: a process is gone: ", FirstLine(message)));
}

}  // namespace ddgan

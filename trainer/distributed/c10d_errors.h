// What LibTorch's process groups throw, as absl::Status. They report a dead
// process and a slow one by message alone, so messages are read. No LibTorch.
#ifndef DDGAN_TRAINER_DISTRIBUTED_C10D_ERRORS_H_
#define DDGAN_TRAINER_DISTRIBUTED_C10D_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace ddgan {

// `message` of what() of an exception of a collective operation that had
// `timeout`:
//   DeadlineExceeded  an operation that ran out of time: somebody hangs
//   Unavailable       anything else: a connection broke, so a process is gone
absl::Status CollectiveError(absl::string_view message, absl::Duration timeout);

// The first line of `message`, at most 300 characters: the rest is a stack
// trace.
absl::string_view FirstLine(absl::string_view message);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DISTRIBUTED_C10D_ERRORS_H_

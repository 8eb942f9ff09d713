// What the processes of a group must agree on, so that none waits for the
// others in vain. Each is a collective (process_group.h), whose errors are
// those of ProcessGroup::AllGather beside its own.
#ifndef DDGAN_TRAINER_DISTRIBUTED_AGREEMENT_H_
#define DDGAN_TRAINER_DISTRIBUTED_AGREEMENT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/distributed/process_group.h"

namespace ddgan {

// Of all processes' values: the same in each of them.
absl::StatusOr<int64_t> LargestOf(ProcessGroup& group, int64_t own);
absl::StatusOr<int64_t> SumOf(ProcessGroup& group, int64_t own);

struct SharedFact {
  // What a process has whose value differs: "another configuration".
  const char* difference;
  std::string value;
};

// InvalidArgument that names the first rank and fact that differ from rank 0.
// The order of `facts` and their differences are the same in all processes.
absl::Status CheckSameEverywhere(ProcessGroup& group,
                                 absl::Span<const SharedFact> facts);

// What this process ends with, whose own status is `own`: that of rank 0, which
// alone saves and publishes, unless something is wrong here. Cancelled counts
// as nothing wrong.
absl::Status AgreeOnEnd(ProcessGroup& group, const absl::Status& own);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DISTRIBUTED_AGREEMENT_H_

// Whether what a runner returned fits the batch that it was given.
#ifndef DDGAN_ENGINE_SCHEDULING_OUTCOME_CHECK_H_
#define DDGAN_ENGINE_SCHEDULING_OUTCOME_CHECK_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/lanes/batch_runner.h"
#include "engine/requests/queued_request.h"

namespace ddgan {

// Internal unless `outcome` names only rows of the batch, and has one image for
// each of those that were at step 0 and are finite: a runner that loses an
// image would otherwise leave a caller waiting for ever. Sorts the images by
// row.
absl::Status CheckOutcome(absl::Span<Trajectory* const> rows,
                          StepOutcome& outcome);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_OUTCOME_CHECK_H_

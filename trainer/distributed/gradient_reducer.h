// Sums the gradient of one network over processes while backward still
// computes the rest of it.
#ifndef DDGAN_TRAINER_DISTRIBUTED_GRADIENT_REDUCER_H_
#define DDGAN_TRAINER_DISTRIBUTED_GRADIENT_REDUCER_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "trainer/distributed/process_group.h"
#include "trainer/networks/flat_parameters.h"

namespace ddgan {

// A step with a reducer, where only the last backward completes the gradient:
//
//   parameters.ZeroGradient();
//   torch::autograd::backward({real_loss});
//   reducer->Arm();
//   torch::autograd::backward({fake_loss});
//   absl::Status reduced = reducer->Wait();  // Then the optimiser's step.
//
// The flat gradient is cut into buckets of neighbouring parameters, last ones
// first. When the last backward has accumulated every gradient of a bucket, its
// sum starts on the buffer itself: nothing is copied. Sums start in the same
// order in every process whatever order backward takes, so processes may differ
// in which parameters a backward reaches. The result is the sum, not the mean:
// scale the loss by 1 / (shares of the global batch).
//
// With one process no parameter is hooked and no call does anything.
//
// Thread-compatible. The sums start in the threads of backward.
class GradientReducer {
 public:
  struct Options {
    // Bytes of gradient per bucket; a quarter of the network if that is less.
    // A larger parameter has a bucket of its own. >= 4
    int64_t bucket_bytes = int64_t{25} << 20;
    // The same for the bucket that backward completes first. >= 4
    int64_t first_bucket_bytes = int64_t{1} << 20;
  };

  // Since construction; all 0 with one process.
  struct Totals {
    // Gradients that were waited for without an error.
    int64_t steps = 0;
    // Sums of buckets, and those of them that started while backward ran.
    int64_t sums = 0;
    int64_t early_sums = 0;
    // Bytes of gradient that were summed.
    int64_t bytes = 0;
    // Time in Wait: communication that no computation hid, and the wait for
    // slower processes.
    absl::Duration waited;
  };

  // Hooks the parameters, of which `parameters` must not get a second reducer.
  // `group`, `parameters` and `clock` outlive the reducer; `parameters` stays
  // where it is.
  //   InvalidArgument     an option out of range
  //   FailedPrecondition  a parameter's gradient is no view of the flat one
  static absl::StatusOr<std::unique_ptr<GradientReducer>> Create(
      ProcessGroup* group, const FlatParameters* parameters,
      const Options& options, Clock* clock);

  // Unhooks the parameters. Sums that were not waited for end by themselves.
  ~GradientReducer();

  // The next backward is the step's last. Call before it, in every process,
  // and once per Wait.
  void Arm();

  // Blocks until the flat gradient is the sum over processes. Parameters that
  // no backward reached since Arm are summed as they are. Whatever it returns,
  // nothing writes the gradient afterwards.
  //   FailedPrecondition  Arm was not called before, or twice; or a gradient
  //                       was replaced, or accumulated again after its sum had
  //                       begun (a second backward after Arm)
  //   others              of PendingSum::Wait
  absl::Status Wait();

  Totals totals() const;

 private:
  class Reduction;
  explicit GradientReducer(std::unique_ptr<Reduction> reduction);

  // Null with one process.
  const std::unique_ptr<Reduction> reduction_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DISTRIBUTED_GRADIENT_REDUCER_H_

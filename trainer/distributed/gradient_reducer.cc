#include "trainer/distributed/gradient_reducer.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "engine/base/libtorch_errors.h"
#include "trainer/distributed/gradient_buckets.h"

namespace ddgan {
namespace {

constexpr int64_t kElementBytes = sizeof(float);

absl::Status CheckOption(const char* name, int64_t value) {
  if (value >= kElementBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("gradient reducer: ", name, " = ", value,
                   ": must be at least ", kElementBytes));
}

}  // namespace

class GradientReducer::Reduction {
 public:
  Reduction(ProcessGroup* group, const FlatParameters* parameters,
            const Options& options, Clock* clock)
      : group_(group), parameters_(parameters), clock_(clock) {
    std::vector<int64_t> sizes;
    for (const at::Tensor& tensor : parameters->tensors()) {
      sizes.push_back(tensor.numel());
    }
    const int64_t quarter = (parameters->gradient().numel() + 3) / 4;
    const int64_t elements = std::max<int64_t>(
        std::min(options.bucket_bytes / kElementBytes, quarter), 1);
    buckets_ = PlanGradientBuckets(
        sizes, std::min(options.first_bucket_bytes / kElementBytes, elements),
        elements);
    bucket_of_.resize(sizes.size());
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      views_.push_back(parameters->gradient().narrow(0, buckets_[bucket].offset,
                                                     buckets_[bucket].size));
      for (int64_t i = buckets_[bucket].first_parameter;
           i < buckets_[bucket].end_parameter; ++i) {
        bucket_of_[i] = bucket;
      }
    }
    for (const at::Tensor& piece : parameters->Split(parameters->gradient())) {
      addresses_.push_back(piece.const_data_ptr());
    }
    absl::MutexLock lock(&mu_);
    waiting_.resize(buckets_.size());
  }

  ~Reduction() {
    for (const at::Tensor& tensor : parameters_->tensors()) {
      torch::autograd::impl::set_post_acc_grad_hooks(tensor, nullptr);
    }
  }

  absl::Status HookParameters() {
    const Parameters& tensors = parameters_->tensors();
    for (size_t i = 0; i < tensors.size(); ++i) {
      absl::Status flat = CheckFlat(i, tensors[i]);
      if (!flat.ok()) return flat;
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
      torch::autograd::impl::set_post_acc_grad_hooks(
          tensors[i], std::make_unique<Hook>(this, i));
    }
    return absl::OkStatus();
  }

  void Arm() {
    absl::MutexLock lock(&mu_);
    if (armed_) {
      Fail(absl::FailedPreconditionError(
          "gradient reducer: Arm was called twice before Wait"));
      return;
    }
    armed_ = true;
    seen_.assign(bucket_of_.size(), false);
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      waiting_[bucket] =
          buckets_[bucket].end_parameter - buckets_[bucket].first_parameter;
    }
  }

  absl::Status Wait() {
    absl::MutexLock lock(&mu_);
    if (!armed_) {
      return absl::FailedPreconditionError(
          "gradient reducer: Wait was called without Arm before");
    }
    armed_ = false;
    const absl::Time begin = clock_->Now();
    const int64_t early = static_cast<int64_t>(sums_.size());
    // Even after an error of this process's own, so that the others, which
    // know nothing of it, get as many sums as they wait for.
    while (sums_.size() < buckets_.size()) StartNext();
    for (PendingSum& sum : sums_) Fail(sum.Wait());
    sums_.clear();
    totals_.waited += clock_->Now() - begin;
    absl::Status result = std::exchange(error_, absl::OkStatus());
    if (!result.ok()) return result;
    ++totals_.steps;
    totals_.early_sums += early;
    totals_.sums += static_cast<int64_t>(buckets_.size());
    totals_.bytes += parameters_->gradient().numel() * kElementBytes;
    return absl::OkStatus();
  }

  Totals totals() const {
    absl::MutexLock lock(&mu_);
    return totals_;
  }

 private:
  struct Hook : torch::autograd::PostAccumulateGradHook {
    Hook(Reduction* reduction, size_t parameter)
        : reduction(reduction), parameter(parameter) {}
    void operator()(const torch::autograd::Variable& tensor) override {
      reduction->OnGradient(parameter, tensor);
    }
    Reduction* const reduction;
    const size_t parameter;
  };

  // A gradient that autograd replaced instead of adding to it, as it does if
  // it is undefined or backward creates a graph, would go unsummed.
  absl::Status CheckFlat(size_t parameter, const at::Tensor& tensor) const {
    const at::Tensor& gradient = tensor.grad();
    if (gradient.defined() && gradient.is_contiguous() &&
        gradient.const_data_ptr() == addresses_[parameter]) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        absl::StrCat("gradient reducer: the gradient of parameter ", parameter,
                     " is not part of the flat gradient"));
  }

  void OnGradient(size_t parameter, const at::Tensor& tensor) {
    absl::MutexLock lock(&mu_);
    if (!armed_) return;
    Fail(CheckFlat(parameter, tensor));
    if (seen_[parameter]) {
      Fail(absl::FailedPreconditionError(
          absl::StrCat("gradient reducer: the gradient of parameter ",
                       parameter, " was accumulated twice after Arm")));
      return;
    }
    seen_[parameter] = true;
    --waiting_[bucket_of_[parameter]];
    while (sums_.size() < buckets_.size() && waiting_[sums_.size()] == 0) {
      StartNext();
    }
  }

  void StartNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    sums_.push_back(group_->AllReduceSum(views_[sums_.size()]));
  }

  // Keeps the first error of a step.
  void Fail(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    error_.Update(std::move(status));
  }

  ProcessGroup* const group_;
  const FlatParameters* const parameters_;
  Clock* const clock_;
  // Constant after construction.
  std::vector<GradientBucket> buckets_;
  std::vector<at::Tensor> views_;       // By bucket, of the flat gradient.
  std::vector<size_t> bucket_of_;       // By parameter.
  std::vector<const void*> addresses_;  // By parameter, of its gradient.

  mutable absl::Mutex mu_;
  bool armed_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<bool> seen_ ABSL_GUARDED_BY(mu_);  // By parameter.
  // By bucket: parameters whose gradient is still to come.
  std::vector<int64_t> waiting_ ABSL_GUARDED_BY(mu_);
  // Sums of the first buckets, in order.
  std::vector<PendingSum> sums_ ABSL_GUARDED_BY(mu_);
  absl::Status error_ ABSL_GUARDED_BY(mu_);
  Totals totals_ ABSL_GUARDED_BY(mu_);
};

absl::StatusOr<std::unique_ptr<GradientReducer>> GradientReducer::Create(
    ProcessGroup* group, const FlatParameters* parameters,
    const Options& options, Clock* clock) {
  absl::Status valid = CheckOption("bucket_bytes", options.bucket_bytes);
  valid.Update(CheckOption("first_bucket_bytes", options.first_bucket_bytes));
  if (!valid.ok()) return valid;
  if (group->size() == 1) {
    return std::unique_ptr<GradientReducer>(new GradientReducer(nullptr));
  }
  using Created = absl::StatusOr<std::unique_ptr<GradientReducer>>;
  return CatchingLibTorch("gradient reducer", [&]() -> Created {
    auto reduction =
        std::make_unique<Reduction>(group, parameters, options, clock);
    absl::Status hooked = reduction->HookParameters();
    if (!hooked.ok()) return hooked;
    return std::unique_ptr<GradientReducer>(
        new GradientReducer(std::move(reduction)));
  });
}

GradientReducer::GradientReducer(std::unique_ptr<Reduction> reduction)
    : reduction_(std::move(reduction)) {}

GradientReducer::~GradientReducer() = default;

void GradientReducer::Arm() {
  if (reduction_ != nullptr) reduction_->Arm();
}

absl::Status GradientReducer::Wait() {
  return reduction_ == nullptr ? absl::OkStatus() : reduction_->Wait();
}

GradientReducer::Totals GradientReducer::totals() const {
  return reduction_ == nullptr ? Totals() : reduction_->totals();
}

}  // namespace ddgan

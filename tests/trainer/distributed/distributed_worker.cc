// One process of a group, started by the tests with a scenario's name and with
// the variables that launchers set. Prints what went wrong and exits with 1, or
// prints the status that a scenario is about and exits with 0.
//
// By hand, two processes:
//   export WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500
//   worker=build/release/tests/trainer/distributed/distributed_worker
//   for rank in 0 1; do RANK=$rank $worker collectives & done; wait
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros_like.h>
#include <signal.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "engine/base/clock.h"
#include "trainer/distributed/agreement.h"
#include "trainer/distributed/gradient_reducer.h"
#include "trainer/distributed/process_environment.h"
#include "trainer/distributed/process_group.h"
#include "trainer/networks/flat_parameters.h"

namespace ddgan {
namespace {

// Far beyond what a busy machine needs.
constexpr absl::Duration kLongTimeout = absl::Seconds(60);
// For scenarios that wait for it. All processes must start within it.
constexpr absl::Duration kShortTimeout = absl::Seconds(10);

void Require(bool condition, absl::string_view what) {
  if (condition) return;
  std::cerr << "failed: " << what << std::endl;
  _exit(1);
}

void RequireOk(const absl::Status& status) {
  Require(status.ok(), status.ToString());
}

ProcessEnvironment Environment() {
  absl::StatusOr<ProcessEnvironment> environment =
      ReadProcessEnvironment(ReadEnvironmentVariable);
  RequireOk(environment.status());
  return *environment;
}

std::unique_ptr<ProcessGroup> JoinOrExit(absl::Duration timeout) {
  absl::StatusOr<std::unique_ptr<ProcessGroup>> group =
      ProcessGroup::Join(Environment(), CollectiveBackend::kGloo, timeout);
  RequireOk(group.status());
  return *std::move(group);
}

// FNV-1a over the tensor's bytes.
int64_t Digest(const at::Tensor& tensor) {
  uint64_t hash = 0xCBF29CE484222325u;
  const auto* bytes = static_cast<const uint8_t*>(tensor.const_data_ptr());
  for (size_t i = 0; i < tensor.nbytes(); ++i) {
    hash = (hash ^ bytes[i]) * 0x100000001B3u;
  }
  return static_cast<int64_t>(hash);
}

void RequireSameEverywhere(ProcessGroup& group, const at::Tensor& tensor) {
  const int64_t own = Digest(tensor);
  absl::StatusOr<std::vector<int64_t>> all = group.AllGather(own);
  RequireOk(all.status());
  for (const int64_t other : *all) Require(other == own, "bytes differ");
}

at::Tensor Random(std::vector<int64_t> shape, uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::kFloat);
}

void Collectives() {
  const std::unique_ptr<ProcessGroup> group = JoinOrExit(kLongTimeout);
  const int rank = group->rank();
  const int size = group->size();

  absl::StatusOr<std::vector<int64_t>> ranks = group->AllGather(rank * 10);
  RequireOk(ranks.status());
  Require(static_cast<int>(ranks->size()) == size, "AllGather's size");
  for (int i = 0; i < size; ++i) Require((*ranks)[i] == i * 10, "AllGather");

  const at::Tensor weights = Random({1000}, rank);
  RequireOk(group->BroadcastFromFirst(weights));
  Require(at::equal(weights, Random({1000}, 0)), "BroadcastFromFirst");

  // Three under way at once, and parts of one buffer.
  at::Tensor flat = Random({30001}, rank);
  std::vector<PendingSum> sums;
  sums.push_back(group->AllReduceSum(flat.narrow(0, 20000, 10001)));
  sums.push_back(group->AllReduceSum(flat.narrow(0, 10000, 10000)));
  sums.push_back(group->AllReduceSum(flat.narrow(0, 0, 10000)));
  for (PendingSum& sum : sums) RequireOk(sum.Wait());
  for (PendingSum& sum : sums) RequireOk(sum.Wait());
  at::Tensor expected = Random({30001}, 0);
  for (int i = 1; i < size; ++i) expected = expected + Random({30001}, i);
  Require(at::allclose(flat, expected, 1e-5, 1e-5), "AllReduceSum");
  if (size <= 2) Require(at::equal(flat, expected), "exact AllReduceSum");
  RequireSameEverywhere(*group, flat);

  RequireOk(group->Barrier());
}

void Agreement() {
  const std::unique_ptr<ProcessGroup> group = JoinOrExit(kLongTimeout);
  const int rank = group->rank();
  const int last = group->size() - 1;
  Require(*LargestOf(*group, 5 - rank) == 5, "LargestOf");
  Require(*SumOf(*group, rank) == last * (last + 1) / 2, "SumOf");

  RequireOk(CheckSameEverywhere(*group, {{"another size", "7"}}));
  const absl::Status differs = CheckSameEverywhere(
      *group,
      {{"another size", "7"}, {"another seed", rank == last ? "2" : "1"}});
  Require(absl::IsInvalidArgument(differs), differs.ToString());
  Require(absl::StrContains(differs.message(),
                            absl::StrCat("rank ", last, " has another seed")),
          differs.ToString());

  const absl::Status full = absl::ResourceExhaustedError("the disk is full");
  RequireOk(AgreeOnEnd(*group, absl::OkStatus()));
  const absl::Status end =
      AgreeOnEnd(*group, rank == 0 ? full : absl::OkStatus());
  Require(end.code() == full.code(), end.ToString());
  const absl::Status own =
      AgreeOnEnd(*group, rank == last ? full : absl::OkStatus());
  Require(own == (rank == last ? full : absl::OkStatus()), own.ToString());
}

void RefusesTensor() {
  const std::unique_ptr<ProcessGroup> group = JoinOrExit(kLongTimeout);
  const at::Tensor strided = Random({8, 8}, 0).t();
  const absl::Status refused = group->AllReduceSum(strided).Wait();
  Require(absl::IsInvalidArgument(refused), refused.ToString());
  Require(absl::IsInvalidArgument(group->BroadcastFromFirst(at::Tensor())),
          "an undefined tensor");
  // No harm done.
  RequireOk(group->Barrier());
}

void Join(absl::Duration timeout) {
  std::cout << ProcessGroup::Join(Environment(), CollectiveBackend::kGloo,
                                  timeout)
                   .status()
            << std::endl;
}

// Sums until one fails, prints why, and leaves.
void SumUntilFailure(ProcessGroup& group, absl::Duration timeout) {
  const absl::Time begin = absl::Now();
  absl::Status status;
  while (status.ok()) {
    std::vector<PendingSum> sums;
    const at::Tensor flat = Random({40000}, group.rank());
    for (int i = 0; i < 4; ++i) {
      sums.push_back(group.AllReduceSum(flat.narrow(0, i * 10000, 10000)));
    }
    for (PendingSum& sum : sums) status.Update(sum.Wait());
  }
  std::cout << status << std::endl;
  Require(group.Barrier() == status, "a broken group stays broken");
  Require(absl::Now() - begin < timeout + absl::Seconds(20), "took too long");
}

void LastIsKilled() {
  const std::unique_ptr<ProcessGroup> group = JoinOrExit(kLongTimeout);
  // As when Gloo writes to a process that has just gone.
  raise(SIGPIPE);
  if (group->rank() == group->size() - 1) {
    RequireOk(
        group->AllReduceSum(Random({40000}, 0).narrow(0, 0, 10000)).Wait());
    group->AllReduceSum(Random({10000}, 0));
    kill(getpid(), SIGKILL);
  }
  const absl::Time begin = absl::Now();
  SumUntilFailure(*group, kLongTimeout);
  Require(absl::Now() - begin < kLongTimeout, "it waited for the timeout");
}

void LastHangs() {
  const std::unique_ptr<ProcessGroup> group = JoinOrExit(kShortTimeout);
  if (group->rank() == group->size() - 1) {
    while (true) pause();  // Until the test ends it.
  }
  SumUntilFailure(*group, kShortTimeout);
}

// A small MLP, some parameters of which some backward passes do not reach.
struct Mlp {
  static Parameters Initial() {
    return {Random({16, 8}, 101),  Random({16}, 102), Random({7}, 103),
            Random({16, 16}, 104), Random({16}, 105), Random({1, 16}, 106),
            Random({1}, 107)};
  }
  static constexpr size_t kUnused = 2;

  static at::Tensor Loss(const Parameters& p, const at::Tensor& x, bool whole) {
    at::Tensor h = at::relu(at::linear(x, p[0], p[1]));
    if (whole) h = at::relu(at::linear(h, p[3], p[4]));
    return at::linear(h, p[5], p[6]).square().mean();
  }

  // Of three backward passes of process `rank`, the last of which does not
  // reach every parameter if `partial`.
  static std::vector<at::Tensor> Losses(const Parameters& p, int step, int rank,
                                        bool partial) {
    const uint64_t seed = 1000 * step + 10 * rank;
    return {Loss(p, Random({5, 8}, seed), true),
            Loss(p, Random({5, 8}, seed + 1), true),
            Loss(p, Random({5, 8}, seed + 2), !partial)};
  }
};

GradientReducer::Options SmallBuckets() {
  GradientReducer::Options options;
  options.bucket_bytes = 70 * sizeof(float);
  options.first_bucket_bytes = 1 * sizeof(float);
  return options;
}

std::unique_ptr<GradientReducer> NewReducer(ProcessGroup* group,
                                            const FlatParameters* parameters) {
  absl::StatusOr<std::unique_ptr<GradientReducer>> reducer =
      GradientReducer::Create(group, parameters, SmallBuckets(), RealClock());
  RequireOk(reducer.status());
  return *std::move(reducer);
}

void Reducer() {
  const std::unique_ptr<ProcessGroup> group = JoinOrExit(kLongTimeout);
  FlatParameters parameters(Mlp::Initial(), at::kCPU);
  const std::unique_ptr<GradientReducer> reducer =
      NewReducer(group.get(), &parameters);
  const int kSteps = 6;
  for (int step = 0; step < kSteps; ++step) {
    // Processes may differ in what their last backward reaches.
    const auto partial = [step](int rank) { return (step + rank) % 2 == 1; };
    // As in training, where the other network's step turns gradients off.
    parameters.SetRequiresGrad(false);
    parameters.SetRequiresGrad(true);
    parameters.ZeroGradient();
    const std::vector<at::Tensor> losses = Mlp::Losses(
        parameters.tensors(), step, group->rank(), partial(group->rank()));
    for (size_t i = 0; i < losses.size(); ++i) {
      if (i + 1 == losses.size()) reducer->Arm();
      torch::autograd::backward({losses[i]});
    }
    RequireOk(reducer->Wait());

    at::Tensor expected = at::zeros_like(parameters.gradient());
    for (int rank = 0; rank < group->size(); ++rank) {
      FlatParameters own(Mlp::Initial(), at::kCPU);
      own.ZeroGradient();
      for (const at::Tensor& loss :
           Mlp::Losses(own.tensors(), step, rank, partial(rank))) {
        torch::autograd::backward({loss});
      }
      expected = expected + own.gradient();
    }
    const at::Tensor& sum = parameters.gradient();
    Require(at::allclose(sum, expected, 1e-5, 1e-6), "sum of gradients");
    if (group->size() <= 2) Require(at::equal(sum, expected), "exact sum");
    const at::Tensor unused = parameters.Split(sum)[Mlp::kUnused];
    Require(at::equal(unused, at::zeros_like(unused)), "unused parameter");
    RequireSameEverywhere(*group, sum);
  }
  const GradientReducer::Totals totals = reducer->totals();
  Require(totals.steps == kSteps, "steps");
  Require(totals.bytes == kSteps * 4 * parameters.gradient().numel(), "bytes");
  Require(totals.early_sums > 0, "no sum started during backward");
  Require(totals.sums > totals.early_sums,
          "the unused parameter's sum cannot have started during backward");
}

void ReducerRefusals() {
  const std::unique_ptr<ProcessGroup> group = JoinOrExit(kLongTimeout);
  FlatParameters parameters(Mlp::Initial(), at::kCPU);
  const auto create = [&](const GradientReducer::Options& options) {
    return GradientReducer::Create(group.get(), &parameters, options,
                                   RealClock());
  };
  GradientReducer::Options no_bucket;
  no_bucket.bucket_bytes = 0;
  Require(absl::IsInvalidArgument(create(no_bucket).status()), "bucket_bytes");

  std::unique_ptr<GradientReducer> reducer = *create(SmallBuckets());
  Require(absl::IsFailedPrecondition(reducer->Wait()), "Wait without Arm");

  const auto backward = [&] {
    const at::Tensor loss =
        Mlp::Losses(parameters.tensors(), 0, 0, false).front();
    torch::autograd::backward({loss});
  };
  reducer->Arm();
  backward();
  backward();
  Require(absl::IsFailedPrecondition(reducer->Wait()), "two backward passes");

  reducer->Arm();
  reducer->Arm();
  Require(absl::IsFailedPrecondition(reducer->Wait()), "Arm twice");

  // Backward that creates a graph replaces gradients.
  reducer->Arm();
  torch::autograd::backward(
      {Mlp::Losses(parameters.tensors(), 0, 0, false).front()}, {},
      /*retain_graph=*/true, /*create_graph=*/true);
  Require(absl::IsFailedPrecondition(reducer->Wait()), "a replaced gradient");

  reducer.reset();
  Require(absl::IsFailedPrecondition(create(SmallBuckets()).status()),
          "a gradient that is not flat");
  RequireOk(group->Barrier());
  // No hook is left that would use what is gone.
  backward();
}

void ReducerLastIsKilled() {
  const std::unique_ptr<ProcessGroup> group = JoinOrExit(kLongTimeout);
  FlatParameters parameters(Mlp::Initial(), at::kCPU);
  const std::unique_ptr<GradientReducer> reducer =
      NewReducer(group.get(), &parameters);
  const absl::Time begin = absl::Now();
  absl::Status status;
  for (int step = 0; status.ok(); ++step) {
    const at::Tensor loss =
        Mlp::Losses(parameters.tensors(), step, group->rank(), false).front();
    reducer->Arm();
    torch::autograd::backward({loss});
    // With its sums under way.
    if (step == 2 && group->rank() == group->size() - 1) {
      kill(getpid(), SIGKILL);
    }
    status = reducer->Wait();
  }
  std::cout << status << std::endl;
  Require(absl::Now() - begin < kLongTimeout, "it waited for the timeout");
}

int Main(int argc, char** argv) {
  const std::map<std::string, std::function<void()>> scenarios = {
      {"collectives", Collectives},
      {"agreement", Agreement},
      {"refuses_tensor", RefusesTensor},
      {"join", [] { Join(kShortTimeout); }},
      {"last_is_killed", LastIsKilled},
      {"last_hangs", LastHangs},
      {"reducer", Reducer},
      {"reducer_refusals", ReducerRefusals},
      {"reducer_last_is_killed", ReducerLastIsKilled},
  };
  const auto scenario = scenarios.find(argc == 2 ? argv[1] : "");
  if (scenario == scenarios.end()) {
    std::cerr << "usage: distributed_worker SCENARIO, one of";
    for (const auto& [name, run] : scenarios) std::cerr << " " << name;
    std::cerr << std::endl;
    return 2;
  }
  scenario->second();
  return 0;
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) { return ddgan::Main(argc, argv); }

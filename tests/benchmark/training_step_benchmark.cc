// What does a training step cost beside the forwards and backwards of its own
// two networks? And how much memory does it take?
// Run: build/release/tests/benchmark/training_step_benchmark
//      ... --config=cifar10 --batch_size=16 --precision=float32 for one case
//      ... --config=stacked_mnist --options=ngf=8,ch_mult=1/2/2 for other
//      networks than the configuration's
//
// A whole step is TrainingDraws::Draw and TrainingStep::Run. Against it stand
// the same calls to the same networks, backwards and the double backward of R1
// counted in, on inputs that lie ready and with the gradients of the logits
// given. Both take turns in every round; what is printed is the shortest of
// each over the rounds, of lazy_reg steps one with R1. One thread, and the
// process's CPU time, so that a machine with other work gives the same figures
// but for its caches. Each case is a process of its own, so its peak memory is
// its own: that of whole steps, noted before anything else runs.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "engine/base/program_options.h"
#include "trainer/dataset/data_order.h"
#include "trainer/networks/losses.h"
#include "trainer/options/training_config.h"
#include "trainer/step/adam.h"
#include "trainer/step/cpu_settings.h"
#include "trainer/step/ema_weights.h"
#include "trainer/step/precision_scope.h"
#include "trainer/step/step_options.h"
#include "trainer/step/training_draws.h"
#include "trainer/step/training_step.h"

ABSL_FLAG(std::string, config, "",
          "configuration to measure, as ddgan-train --list has it; default: "
          "three of them in both formats");
ABSL_FLAG(int, batch_size, 4, "with --config: images per step");
ABSL_FLAG(std::string, precision, "float32",
          "with --config: float32 or bfloat16");
ABSL_FLAG(std::vector<std::string>, options, {},
          "with --config: what it has otherwise, as flags of ddgan-train "
          "without dashes, such as ngf=8,n_mlp=2; lists with slashes: "
          "ch_mult=1/2/2");
ABSL_FLAG(int, rounds, 7, "how often each is timed");

namespace ddgan {
namespace {

struct Case {
  std::string config;
  int batch_size;
  std::string precision;
  std::vector<std::string> options;
};

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec);
}

double PeakMebibytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Keeps the shortest of several runs.
class Stopwatch {
 public:
  void Time(const std::function<void()>& work) {
    const double start = CpuSeconds();
    work();
    shortest_ = std::min(shortest_, CpuSeconds() - start);
  }
  double seconds() const { return shortest_; }

 private:
  double shortest_ = std::numeric_limits<double>::infinity();
};

// What a step asks of its networks, and nothing else.
class NetworksAlone {
 public:
  // `step` outlives this; its gradients are added to.
  NetworksAlone(const TrainingStep& step, const TrainingOptions& options,
                const at::Tensor& samples, const HalfStepDraws& draws)
      : step_(step),
        options_(options),
        t_(draws.t.clone()),
        z_(draws.z.clone()),
        x_t_(samples.clone()),
        x_next_(at::randn(samples.sizes())),
        fake_(at::randn(samples.sizes())),
        logit_gradient_(at::full({samples.size(0), 1},
                                 -0.5 / static_cast<double>(samples.size(0)))) {
  }

  void Run(bool penalise) {
    SetDiscriminatorRequiresGrad(true);
    x_t_.set_requires_grad(penalise);
    x_t_.mutable_grad() = at::Tensor();
    const at::Tensor real = Discriminate(x_t_);
    if (penalise) {
      torch::autograd::backward(
          {real, R1Penalty(real, x_t_, options_.r1_gamma)},
          {logit_gradient_, at::Tensor()});
    } else {
      torch::autograd::backward({real}, {logit_gradient_});
    }
    {
      const at::NoGradGuard no_grad;
      Generate();
    }
    torch::autograd::backward({Discriminate(fake_)}, {logit_gradient_});

    SetDiscriminatorRequiresGrad(false);
    torch::autograd::backward({Discriminate(Generate())}, {logit_gradient_});
  }

 private:
  void SetDiscriminatorRequiresGrad(bool requires_grad) {
    for (at::Tensor parameter : step_.discriminator_parameters().tensors())
      parameter.set_requires_grad(requires_grad);
  }

  at::Tensor Generate() const {
    const PrecisionScope scope(options_.precision, at::kCPU);
    return step_.networks().Generate(x_next_, t_, z_).to(at::kFloat);
  }

  at::Tensor Discriminate(const at::Tensor& x) const {
    const PrecisionScope scope(options_.precision, at::kCPU);
    return step_.networks().Discriminate(x, t_, x_next_).to(at::kFloat);
  }

  const TrainingStep& step_;
  const TrainingOptions options_;
  const at::Tensor t_;
  const at::Tensor z_;
  at::Tensor x_t_;
  const at::Tensor x_next_;
  const at::Tensor fake_;
  const at::Tensor logit_gradient_;
};

// What a step does to all parameters of a network, on a copy of them.
class Updates {
 public:
  Updates(const FlatParameters& like, double ema_decay)
      : parameters_(like.tensors(), at::kCPU),
        adam_(parameters_.values()),
        ema_(ema_decay) {
    ema_.Update(parameters_.values());
  }

  void Run(bool averages) {
    parameters_.ZeroGradient();
    adam_.Step(parameters_, 1e-4);
    if (averages) ema_.Update(parameters_.values());
  }

 private:
  FlatParameters parameters_;
  Adam adam_;
  EmaWeights ema_;
};

absl::Status Measure(const Case& one, int rounds) {
  std::vector<GivenOption> values = {
      {"batch_size", absl::StrCat(one.batch_size)},
      {"precision", one.precision},
      {"data", "none"},
      {"out", "none"}};
  for (const std::string& option : one.options) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(option, absl::MaxSplits('=', 1));
    values.push_back(
        {pair.first, absl::StrReplaceAll(pair.second, {{"/", ","}})});
  }
  const absl::StatusOr<TrainerOptions> resolved =
      ResolveOptions(one.config, values);
  if (!resolved.ok()) return resolved.status();
  const TrainerOptions& options = *resolved;
  if (absl::Status status = ValidateTrainerOptions(options, 1); !status.ok())
    return status;
  at::set_num_threads(1);
  const NetworksConfig networks = NetworksOf(options);
  const TrainingOptions step_options = StepOptionsOf(options);
  const ModelConfig& model = options.model_config;
  const DrawShapes shapes = {model.num_channels, model.image_size,
                             model.image_size, model.nz, model.num_timesteps};
  TrainingStep step(networks, step_options,
                    InitialParameters(PlanGeneratorParameters(networks), 1),
                    InitialParameters(PlanDiscriminatorParameters(networks), 2),
                    at::kCPU);
  TrainingDraws draws(shapes, 1, RowsOfProcess(options.batch_size, 1, 0, 1),
                      at::kCPU);
  const at::Tensor samples = at::rand({options.batch_size, shapes.channels,
                                       shapes.height, shapes.width}) *
                                 2 -
                             1;

  absl::Status status;
  // Step 0 has R1, and step 1 does not if lazy_reg is more than 1.
  const auto whole_step = [&](bool penalise) {
    const StepSettings settings = {penalise ? 0 : 1, options.lr_g,
                                   options.lr_d};
    const absl::StatusOr<StepLosses> losses =
        step.Run(samples, draws.Draw(settings.step), settings);
    if (!losses.ok()) status = losses.status();
  };
  // Warm-up, and twice, since the second step has what the first one left.
  for (int i = 0; i < 2; ++i) {
    for (const bool penalise : {true, false}) whole_step(penalise);
  }
  const double peak = PeakMebibytes();

  NetworksAlone alone(step, step_options, samples, draws.Draw(0).discriminator);
  Updates generator(step.generator_parameters(), options.ema_decay);
  Updates discriminator(step.discriminator_parameters(), options.ema_decay);
  alone.Run(true);
  Stopwatch whole[2], networks_alone[2], updates, drawing;
  for (int round = 0; round < rounds && status.ok(); ++round) {
    for (const bool penalise : {true, false}) {
      whole[penalise].Time([&] { whole_step(penalise); });
      networks_alone[penalise].Time([&] { alone.Run(penalise); });
    }
    updates.Time([&] {
      discriminator.Run(/*averages=*/false);
      generator.Run(/*averages=*/true);
    });
    drawing.Time([&] { draws.Draw(round); });
  }
  if (!status.ok()) return status;
  const auto mean_milliseconds = [&](const Stopwatch(&times)[2]) {
    const double share = 1.0 / options.lazy_reg;
    return 1e3 *
           (share * times[1].seconds() + (1 - share) * times[0].seconds());
  };
  const double step_ms = mean_milliseconds(whole);
  const double networks_ms = mean_milliseconds(networks_alone);
  std::printf("%-15s %-9s %5d %9.2f %9.1f %9.1f %8.1f%% %9.1f %8.1f %9.0f\n",
              one.config.c_str(), one.precision.c_str(), one.batch_size,
              1e3 * one.batch_size / step_ms, step_ms, networks_ms,
              100 * (step_ms / networks_ms - 1), 1e3 * updates.seconds(),
              1e3 * drawing.seconds(), peak);
  return absl::OkStatus();
}

// In a child, which has LibTorch to itself. False if that fails.
bool MeasureInChild(const Case& one, int rounds) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) {
    std::perror("training_step_benchmark: fork");
    return false;
  }
  if (child == 0) {
    const absl::Status status = Measure(one, rounds);
    if (!status.ok()) {
      std::fprintf(stderr, "training_step_benchmark: %s\n",
                   std::string(status.message()).c_str());
    }
    std::fflush(stdout);
    _exit(status.ok() ? 0 : 1);
  }
  int outcome = 0;
  return waitpid(child, &outcome, 0) == child && outcome == 0;
}

bool MeasureAll() {
  const int rounds = absl::GetFlag(FLAGS_rounds);
  if (rounds < 1) {
    std::fprintf(stderr,
                 "training_step_benchmark: --rounds is %d, must be at least "
                 "1\n",
                 rounds);
    return false;
  }
  std::vector<Case> cases;
  if (!absl::GetFlag(FLAGS_config).empty()) {
    cases = {{absl::GetFlag(FLAGS_config), absl::GetFlag(FLAGS_batch_size),
              absl::GetFlag(FLAGS_precision), absl::GetFlag(FLAGS_options)}};
  } else {
    for (const char* precision : {"float32", "bfloat16"}) {
      cases.push_back({"mnist", 32, precision, {}});
      cases.push_back({"stacked_mnist", 8, precision, {}});
      cases.push_back({"cifar10", 8, precision, {}});
    }
  }
  std::printf("%-15s %-9s %5s %9s %9s %9s %9s %9s %8s %9s\n", "configuration",
              "precision", "batch", "images/s", "step ms", "networks",
              "overhead", "updates", "drawing", "peak MiB");
  return std::all_of(cases.begin(), cases.end(), [&](const Case& one) {
    return MeasureInChild(one, rounds);
  });
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("training_step_benchmark [flags]");
  absl::ParseCommandLine(argc, argv);
  ddgan::SetUpCpuForTraining();
  return ddgan::MeasureAll() ? 0 : 1;
}

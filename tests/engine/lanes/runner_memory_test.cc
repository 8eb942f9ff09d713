// What a lane's own thread allocates for a step, and what becomes of a step for
// which memory or threads are lacking. Takes the place of operator new, of
// aligned_alloc and of pthread_create in the process.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "engine/lanes/cpu/cpu_lane_runner.h"
#include "engine/lanes/gpu/gpu_lane_runner.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"
#include "tests/fakes/visible_parameters.h"

// Where the program's own code is, from the linker.
extern "C" const char __executable_start, etext;

namespace {

// Of the thread that they belong to.
thread_local int64_t allocations = 0;
thread_local int64_t allocations_until_failure = -1;  // Negative: never.

// Of all threads.
std::atomic<int64_t> all_allocations = 0;

std::atomic<int> threads_until_failure = -1;

// LibTorch is in libraries of its own, and does not survive it everywhere if
// operator new throws.
bool IsOurs(const void* code) {
  return code >= &__executable_start && code < &etext;
}

void* Allocate(std::size_t size, const void* caller) {
  ++allocations;
  ++all_allocations;
  if (allocations_until_failure >= 0 && IsOurs(caller) &&
      allocations_until_failure-- == 0) {
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
  return Allocate(size, __builtin_return_address(0));
}
void* operator new[](std::size_t size) {
  return Allocate(size, __builtin_return_address(0));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

// What kernels::NewFloatBuffer calls.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  ++all_allocations;
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attr,
                              void* (*start)(void*), void* arg) {
  using Function =
      int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_until_failure >= 0 && threads_until_failure-- == 0) return EAGAIN;
  return create(thread, attr, start, arg);
}

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using Pixels = std::vector<uint8_t>;

std::shared_ptr<const Model> TinyModel(int image_size) {
  const ModelConfig config = SmallRgbConfig(image_size);
  return std::make_shared<const Model>(
      ModelIdentity{"tiny", image_size, "digest"},
      Generator(config, VisibleParameters(config, 3)), ModelUse::kAllLanes);
}

std::unique_ptr<BatchRunner> CpuRunner() {
  CpuLaneRunnerOptions options;
  options.max_batch_size = 8;
  options.max_trajectories = 32;
  return CreateCpuLaneRunner(options).value();
}

std::unique_ptr<BatchRunner> GpuRunner() {
  GpuLaneRunnerOptions options;
  options.device = "cpu";
  options.pinned_batch = 4;
  options.max_batch_size = 8;
  options.max_trajectories = 32;
  return CreateGpuLaneRunner(options).value();
}

// Three images at different steps, which go on from call to call; each asks for
// another kind of pixels, and one for previews. As an image ends, another
// begins in its place.
class Traffic {
 public:
  explicit Traffic(TrajectoryId first_id) {
    for (int i = 0; i < 3; ++i) {
      StepRow& row = rows_.emplace_back();
      row.id = first_id + i;
      row.seed = 5;
      row.image_index = i;
      row.step = 3;
      row.pixel_format = i == 0 ? PixelFormat::kFloat32 : PixelFormat::kUint8;
    }
    rows_[1].preview = true;
    next_.reserve(3);
  }

  // The rows of the next batch.
  absl::Span<const StepRow> rows() {
    next_.assign(rows_.begin(), rows_.begin() + 1 + ticks_ % 3);
    return next_;
  }
  // They ran.
  void Advance() {
    for (size_t i = 0; i < next_.size(); ++i) {
      StepRow& row = rows_[i];
      if (--row.step < 0) {
        row.id += 3;
        row.image_index += 3;
        row.step = 3;
      }
      row.preview = i == 1 && row.step > 0;
    }
    ++ticks_;
  }

 private:
  std::vector<StepRow> rows_;
  std::vector<StepRow> next_;
  int ticks_ = 0;
};

// All bytes of an outcome, in order.
Pixels AllBytes(const StepOutcome& outcome) {
  Pixels bytes;
  for (const std::vector<FinishedImage>* images :
       {&outcome.finished, &outcome.previews}) {
    for (const FinishedImage& image : *images) {
      bytes.push_back(static_cast<uint8_t>(image.row));
      const absl::Span<const uint8_t> pixels = image.pixels;
      bytes.insert(bytes.end(), pixels.begin(), pixels.end());
    }
  }
  return bytes;
}

TEST(RunnerMemoryTest, AWarmLaneOfTwoModelsAllocatesNothing) {
  const std::shared_ptr<const Model> models[] = {TinyModel(16), TinyModel(8)};
  const std::unique_ptr<BatchRunner> runner = CpuRunner();
  Traffic traffic[] = {Traffic(1), Traffic(1'000'000)};
  int finished = 0;
  const auto tick = [&](int i) {
    const absl::StatusOr<StepOutcome*> outcome =
        runner->RunStep(models[i], traffic[i].rows());
    ASSERT_TRUE(outcome.ok());
    traffic[i].Advance();
    finished += static_cast<int>((*outcome)->finished.size());
    // The callers let their images go.
    (*outcome)->finished.clear();
    (*outcome)->previews.clear();
  };
  for (int i = 0; i < 60; ++i) tick(i % 2);
  finished = 0;
  const int64_t before = allocations;
  for (int i = 0; i < 60; ++i) tick(i % 2);
  EXPECT_EQ(allocations - before, 0);
  EXPECT_GT(finished, 15);
}

TEST(RunnerMemoryTest, AWarmTickOfAnySizeAllocatesNothingOnAnyThread) {
  const std::shared_ptr<const Model> model = TinyModel(16);
  for (const int threads : {1, 2, 3}) {
    CpuLaneRunnerOptions options;
    options.threads = threads;
    options.max_batch_size = 16;
    options.max_trajectories = 16;
    const std::unique_ptr<BatchRunner> runner =
        CreateCpuLaneRunner(options).value();
    for (const int batch : {1, 16}) {
      std::vector<StepRow> rows(static_cast<size_t>(batch));
      TrajectoryId next_id = 1;
      // All steps of a batch of images; the callers let them go.
      const auto draw = [&] {
        for (StepRow& row : rows) row.id = next_id++;
        for (int step = 3; step >= 0; --step) {
          for (StepRow& row : rows) row.step = step;
          const absl::StatusOr<StepOutcome*> outcome =
              runner->RunStep(model, rows);
          ASSERT_TRUE(outcome.ok()) << outcome.status();
          EXPECT_EQ((*outcome)->finished.size(), step == 0 ? rows.size() : 0);
          (*outcome)->finished.clear();
        }
      };
      const int64_t cold = all_allocations;
      draw();
      EXPECT_GT(all_allocations - cold, 0);
      draw();
      const int64_t before = all_allocations;
      draw();
      EXPECT_EQ(all_allocations - before, 0)
          << threads << " threads, batch " << batch;
    }
  }
}

// Lets the allocations of each step fail in turn, in the end not every one, and
// tries again.
void ExpectFailedStepsToChangeNothing(BatchRunner& failing,
                                      BatchRunner& reference) {
  const std::shared_ptr<const Model> model = TinyModel(8);
  // The first step of a model is long, since it makes what the others use.
  const StepRow first = {.id = 1000, .step = 3};
  ASSERT_TRUE(failing.RunStep(model, {&first, 1}).ok());
  Traffic traffic(1);
  int failures = 0;
  for (int tick = 0; tick < 8; ++tick) {
    const absl::Span<const StepRow> rows = traffic.rows();
    const absl::StatusOr<StepOutcome*> expected =
        reference.RunStep(model, rows);
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (int64_t allocation = 0;; allocation += 1 + allocation / 16) {
      allocations_until_failure = allocation;
      const absl::StatusOr<StepOutcome*> outcome = failing.RunStep(model, rows);
      allocations_until_failure = -1;
      if (outcome.ok()) {
        ASSERT_EQ(AllBytes(**outcome), AllBytes(**expected)) << "tick " << tick;
        break;
      }
      ++failures;
      ASSERT_EQ(outcome.status().code(), absl::StatusCode::kResourceExhausted)
          << outcome.status();
    }
    traffic.Advance();
  }
  EXPECT_GE(failures, 3);
}

TEST(RunnerMemoryTest, AStepThatLacksMemoryHasMovedNoRow) {
  ExpectFailedStepsToChangeNothing(*CpuRunner(), *CpuRunner());
}

TEST(RunnerMemoryTest, AGpuStepThatLacksMemoryHasMovedNoRow) {
  ExpectFailedStepsToChangeNothing(*GpuRunner(), *GpuRunner());
}

TEST(RunnerMemoryTest, ThreadsThatCannotBeStartedAreAnError) {
  CpuLaneRunnerOptions options;
  options.threads = 4;
  threads_until_failure = 2;
  const absl::Status status = CreateCpuLaneRunner(options).status();
  threads_until_failure = -1;
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cpu: "));
}

}  // namespace
}  // namespace ddgan

// The promise of the whole engine: the bytes of (checkpoint, seed, index) are
// those that a lane gives that runs nothing else, whatever the load, the number
// of lanes, the batch limits, lost lanes and restarts.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/engine_core.h"
#include "engine/lanes/cpu/cpu_lane_runner.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/recording_sink.h"
#include "tests/fakes/scripted_folder_events.h"
#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/submit_at_once.h"
#include "tests/fakes/visible_parameters.h"

namespace ddgan {
namespace {

constexpr int kInterleavings = 1000;

// Time runs ten times faster, so that a lane's backoff is ten milliseconds.
class FastClock : public Clock {
 public:
  absl::Time Now() override {
    return start_ + kFactor * (RealClock()->Now() - start_);
  }
  bool WaitUntil(absl::CondVar* cond_var, absl::Mutex* mutex,
                 absl::Time deadline) override {
    const absl::Time real =
        deadline == absl::InfiniteFuture() || deadline == absl::InfinitePast()
            ? deadline
            : start_ + (deadline - start_) / kFactor;
    return RealClock()->WaitUntil(cond_var, mutex, real);
  }

 private:
  static constexpr int kFactor = 10;
  const absl::Time start_ = RealClock()->Now();
};

std::vector<uint8_t> Bytes(absl::Span<const uint8_t> pixels) {
  return {pixels.begin(), pixels.end()};
}

// A lane's runner that loses its device, or its memory, now and then.
class UnreliableRunner : public BatchRunner {
 public:
  UnreliableRunner(std::unique_ptr<BatchRunner> next, std::atomic<int>* losses,
                   uint64_t seed)
      : next_(std::move(next)), losses_(losses), random_(seed) {}

  absl::StatusOr<StepOutcome*> RunStep(
      const std::shared_ptr<const Model>& model,
      absl::Span<const StepRow> rows) override {
    if (*losses_ > 0 && random_() % 8 == 0) {
      --*losses_;
      if (rows.size() > 1 && random_() % 3 == 0) {
        return absl::ResourceExhaustedError("injected: out of memory");
      }
      return absl::InternalError("injected: device lost");
    }
    return next_->RunStep(model, rows);
  }
  void Forget(absl::Span<const TrajectoryId> ids) override {
    next_->Forget(ids);
  }

 private:
  const std::unique_ptr<BatchRunner> next_;
  std::atomic<int>* const losses_;
  std::mt19937_64 random_;
};

ModelConfig SmallConfig() {
  ModelConfig config;
  config.image_size = 8;
  config.num_channels = 1;
  config.num_channels_dae = 8;
  config.ch_mult = {1, 2};
  config.num_res_blocks = 1;
  config.attn_resolutions = {4};
  config.nz = 8;
  config.z_emb_dim = 8;
  config.n_mlp = 1;
  return config;
}

ServableVersion SmallVersion(int64_t version) {
  const ModelConfig config = SmallConfig();
  ServableVersion servable = MakeServableVersion("small", version);
  servable.model = std::make_shared<const Model>(
      servable.identity,
      Generator(config,
                VisibleParameters(config, static_cast<uint64_t>(version))));
  return servable;
}

std::unique_ptr<BatchRunner> MakeRunner(int threads, int max_batch_size) {
  CpuLaneRunnerOptions options;
  options.threads = threads;
  options.max_batch_size = max_batch_size;
  return *CreateCpuLaneRunner(options);
}

// What asks for an image: seed, index, and the guide's steps, 0 for none.
using Key = std::tuple<uint64_t, uint32_t, int>;

class ByteEqualityTest : public ::testing::Test {
 protected:
  ByteEqualityTest() : alone_(MakeRunner(1, 1)) {
    auto picture = std::make_shared<Picture>();
    picture->shape = {1, 8, 8};
    for (int i = 0; i < 64; ++i) {
      picture->pixels.push_back(static_cast<uint8_t>(i * 4));
      planes_.push_back(static_cast<float>(i * 4) / 127.5f - 1.0f);
    }
    picture_ = std::move(picture);
  }

  // The image from a lane that runs nothing else.
  const std::vector<uint8_t>& Expected(const Key& key) {
    const auto [entry, is_new] = expected_.try_emplace(key);
    if (!is_new) return entry->second;
    const auto& [seed, index, guide_steps] = key;
    const int steps = guide_steps > 0 ? guide_steps : version_.num_timesteps;
    for (int step = steps - 1; step >= 0; --step) {
      StepRow row;
      row.id = 1;
      row.seed = seed;
      row.image_index = index;
      row.step = step;
      if (guide_steps > 0 && step == steps - 1) row.guide = planes_.data();
      absl::StatusOr<StepOutcome*> outcome =
          alone_->RunStep(version_.model, {&row, 1});
      EXPECT_TRUE(outcome.ok()) << outcome.status();
      if (step == 0) entry->second = Bytes((*outcome)->finished.at(0).pixels);
    }
    return entry->second;
  }

  const ServableVersion version_ = SmallVersion(1);
  const std::unique_ptr<BatchRunner> alone_;
  std::shared_ptr<const Picture> picture_;
  std::vector<float> planes_;
  std::map<Key, std::vector<uint8_t>> expected_;
};

// A server of random lanes and limits. Its devices fail only when told to.
struct RandomServer {
  RandomServer(const ServableVersion& version, std::mt19937_64& random) {
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    EngineCore::Options options;
    options.warm_up_every_bucket = false;
    std::vector<LanePool::LaneOptions> lanes;
    const int num_lanes = pick(1, 3);
    for (int lane = 0; lane < num_lanes; ++lane) {
      BatchLimits limits;
      limits.max_batch_size = pick(0, 3) == 0 ? pick(1, 64) : pick(1, 6);
      options.lane_limits.push_back(limits);
      lanes.push_back(
          {absl::StrCat("cpu:", lane),
           [this, threads = pick(1, 2), seed = random(),
            size = limits.max_batch_size](const LaneWorker::NoticeTaker&) {
             return std::make_unique<UnreliableRunner>(
                 MakeRunner(threads, size), &losses, seed);
           }});
    }
    auto source = std::make_unique<ScriptedVersionSource>();
    source->Add(version);
    engine = *EngineCore::Create(options, std::move(lanes), std::move(source),
                                 std::make_unique<ScriptedFolderEvents>(),
                                 &observer, &clock);
  }

  FastClock clock;
  RecordingObserver observer;
  std::atomic<int> losses = 0;  // How many steps fail from now on.
  std::unique_ptr<Engine> engine;
};

TEST_F(ByteEqualityTest, AThousandInterleavingsGiveTheBytesOfAnImageAlone) {
  constexpr int kInterleavingsPerServer = 10;
  int images = 0;
  int replayed_steps = 0;
  std::unique_ptr<RandomServer> server;
  for (uint64_t run = 0; run < kInterleavings; ++run) {
    SCOPED_TRACE(run);
    std::mt19937_64 random(run);
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    if (run % kInterleavingsPerServer == 0) {
      server.reset();
      server = std::make_unique<RandomServer>(version_, random);
    }
    server->losses = pick(0, 2) == 0 ? pick(1, 2) : 0;

    std::vector<std::pair<GenerationRequest, std::shared_ptr<RecordingSink>>>
        calls;
    for (int call = pick(1, 6); call > 0; --call) {
      GenerationRequest request;
      request.count = static_cast<uint32_t>(pick(1, 5));
      request.seed = static_cast<uint64_t>(pick(0, 4)) * 0x9E3779B97F4A7C15u;
      request.first_index = static_cast<uint32_t>(pick(0, 3));
      if (pick(0, 19) == 0) {
        request.first_index =
            std::numeric_limits<uint32_t>::max() - request.count + 1;
      }
      if (pick(0, 3) == 0) {
        for (uint32_t i = 0; i < request.count; ++i) {
          request.noise.push_back(
              {static_cast<uint64_t>(pick(0, 4)) * 0x9E3779B97F4A7C15u,
               static_cast<uint32_t>(pick(0, 3))});
        }
      }
      request.caller = pick(0, 1) == 0 ? "a" : "b";
      request.request_class =
          pick(0, 1) == 0 ? RequestClass::kInteractive : RequestClass::kBatch;
      request.previews = pick(0, 3) == 0;
      if (pick(0, 3) == 0) {
        request.guide = Guide{pick(1, 4), GuideFit::kRefuse, {}};
      }
      const auto sink = std::make_shared<RecordingSink>();
      ASSERT_TRUE(SubmitAtOnce(*server->engine, request, sink,
                               request.guide ? picture_ : nullptr)
                      .ok());
      calls.emplace_back(std::move(request), sink);
      // Some come while others are between two steps.
      for (int yields = pick(0, 3); yields > 0; --yields) {
        std::this_thread::yield();
      }
    }
    for (const auto& [request, sink] : calls) {
      ASSERT_EQ(sink->Await(), absl::OkStatus());
      ASSERT_EQ(sink->images().size(), request.count);
      for (const RecordingSink::Delivered& image : sink->images()) {
        const int steps = request.guide ? request.guide->steps : 0;
        const ImageNoise noise = request.NoiseOf(image.position);
        ASSERT_EQ(image.index, noise.index);
        ASSERT_EQ(image.pixels, Expected({noise.seed, noise.index, steps}));
        ++images;
      }
    }
    if (run % kInterleavingsPerServer == kInterleavingsPerServer - 1) {
      replayed_steps +=
          server->observer.events().wasted_steps[WasteReason::kReplayed];
    }
  }
  // The test saw what it is about.
  EXPECT_GT(images, 5 * kInterleavings);
  EXPECT_GT(replayed_steps, 50);
}

}  // namespace
}  // namespace ddgan

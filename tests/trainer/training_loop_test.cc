// Whole runs on a tiny network: stop, resume, publish, refuse.
#include "trainer/training_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "engine/base/folder.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/safetensors.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/temporary_folder.h"
#include "trainer/dataset/data_order.h"
#include "trainer/options/training_config.h"
#include "trainer/run/state_files.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Sixteen small pictures, each a bright square somewhere else, in an order that
// stays the same. Every one takes a minute to read.
class SquaresSource : public BatchSource {
 public:
  // What is wrong with some.
  struct Faults {
    int64_t bright_step = -1;      // Its pictures are of infinite brightness.
    int64_t unreadable_step = -1;  // Its pictures may not be read.
    int64_t stop_step = -1;        // A signal comes while they are read.
  };

  SquaresSource(ManualClock* clock, std::vector<uint32_t> rows, int batch,
                size_t size, const Faults& faults, std::atomic<bool>* stop)
      : clock_(clock),
        rows_(std::move(rows)),
        batch_(batch),
        size_(size),
        faults_(faults),
        stop_(stop) {}

  const ImageShape& shape() const override { return shape_; }
  size_t size() const override { return size_; }
  absl::StatusOr<absl::Span<const float>> Batch(int64_t step) override {
    pixels_.clear();
    if (step == faults_.stop_step) *stop_ = true;
    if (step == faults_.unreadable_step)
      return absl::PermissionDeniedError("squares: permission denied");
    if (step == faults_.bright_step) {
      pixels_.assign(rows_.size() * 32 * 32,
                     std::numeric_limits<float>::infinity());
      return pixels_;
    }
    for (const uint32_t row : rows_) {
      clock_->Advance(absl::Minutes(1));
      const size_t index = (step * batch_ + row) % size();
      for (size_t i = 0; i < 32 * 32; ++i) {
        const size_t x = i % 32, y = i / 32;
        pixels_.push_back(x / 8 == index % 4 && y / 8 == index / 4 ? 1 : -1);
      }
    }
    return pixels_;
  }
  double WaitSeconds() const override { return 0; }
  int64_t DamagedSamples() const override { return 0; }

 private:
  ManualClock* const clock_;
  const std::vector<uint32_t> rows_;
  const int batch_;
  const size_t size_;
  const Faults faults_;
  std::atomic<bool>* const stop_;
  const ImageShape shape_ = {1, 32, 32};
  std::vector<float> pixels_;
};

class TrainingLoopTest : public testing::Test {
 protected:
  TrainerOptions Options(const std::string& name) const {
    TrainerOptions options;
    options.data = "unused";
    options.out = (folder_.path() / name).string();
    options.model = "squares";
    options.model_config.num_channels = 1;
    options.model_config.num_channels_dae = 8;
    options.model_config.ch_mult = {1, 1};
    options.model_config.num_res_blocks = 1;
    options.model_config.attn_resolutions = {};
    options.model_config.nz = 4;
    options.model_config.z_emb_dim = 8;
    options.model_config.n_mlp = 1;
    options.ngf = 2;
    options.t_emb_dim = 8;
    options.batch_size = 4;
    options.lazy_reg = 2;
    options.max_steps = 6;
    options.threads = 1;
    options.log_every = 2;
    options.samples = 4;
    options.progress = ProgressMode::kLines;
    return options;
  }

  absl::Status Train(const TrainerOptions& options) {
    lines_.clear();
    SquaresSource data(&clock_,
                       RowsOfProcess(options.batch_size, 1, 0,
                                     std::max(1, options.accumulate)),
                       options.batch_size, samples_, faults_, &stop_);
    ProgressDisplay display(
        {.mode = ProgressMode::kLines,
         .is_terminal = false,
         .columns = nullptr,
         .batch_size = options.batch_size,
         .log_every = options.log_every},
        [this](const std::string& text) { lines_.push_back(text); }, &clock_);
    TrainingMetrics metrics("test", TotalSteps(options, data.size()));
    const absl::Status status = RunTraining(options,
                                            {.data = &data,
                                             .group = group_.get(),
                                             .local_rank = 0,
                                             .clock = &clock_,
                                             .display = &display,
                                             .metrics = &metrics},
                                            stop_);
    metrics_ = metrics.Text();
    return status;
  }

  // Newest first.
  static std::vector<int64_t> Versions(const TrainerOptions& options) {
    return ListVersions(options.out, options.model).value();
  }

  static std::string Bytes(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  // The tensors' bytes of a version, one after the other: its file also says
  // how it was trained.
  std::string Weights(const std::string& version) const {
    const std::string bytes =
        Bytes(folder_.path() / version / "model.safetensors");
    std::string data;
    const absl::StatusOr<SafetensorsView> view = ParseSafetensors(bytes);
    EXPECT_TRUE(view.ok()) << view.status();
    if (view.ok()) {
      for (const TensorView& tensor : view->tensors) data += tensor.data;
    }
    return data;
  }

  static void Damage(const std::filesystem::path& path) {
    std::string bytes = Bytes(path);
    bytes[bytes.size() - 5] ^= 0x40;
    WriteBytes(path, bytes);
  }

  // Lines of metrics.jsonl, without what depends on the clock.
  static std::vector<nlohmann::json> Log(const TrainerOptions& options) {
    std::ifstream file(RunFolder(options) + "/metrics.jsonl");
    EXPECT_TRUE(file);
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);) {
      nlohmann::json json = nlohmann::json::parse(line);
      for (const char* key : {"time", "images_per_second", "data_wait_share"})
        json.erase(key);
      lines.push_back(json);
    }
    return lines;
  }

  const TemporaryFolder folder_;
  ManualClock clock_;
  const std::unique_ptr<ProcessGroup> group_ =
      ProcessGroup::Join({}, CollectiveBackend::kGloo, absl::Minutes(1))
          .value();
  std::atomic<bool> stop_ = false;
  size_t samples_ = 16;
  SquaresSource::Faults faults_;
  std::vector<std::string> lines_;
  std::string metrics_;  // Of the last run.
};

TEST_F(TrainingLoopTest, PublishesAVersionThatAServerAccepts) {
  const TrainerOptions options = Options("a");
  ASSERT_TRUE(Train(options).ok());
  const absl::StatusOr<Checkpoint> checkpoint =
      ReadCheckpoint(options.out, "squares", 6);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->config.training_step, 6);
  EXPECT_EQ(checkpoint->config.model_config, options.model_config);
  EXPECT_TRUE(std::filesystem::exists(
      std::filesystem::path(RunFolder(options)) / "samples_step_6.png"));
}

TEST_F(TrainingLoopTest, RefusesAFolderInWhichAnotherProcessTrains) {
  const TrainerOptions options = Options("a");
  std::filesystem::create_directories(RunFolder(options));
  {
    const absl::StatusOr<Folder> other = Folder::Open(RunFolder(options));
    ASSERT_TRUE(other.ok()) << other.status();
    ASSERT_EQ(flock(other->descriptor(), LOCK_EX | LOCK_NB), 0);
    const absl::Status status = Train(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("another process trains in " + RunFolder(options)));
  }
  EXPECT_TRUE(Train(options).ok());
}

TEST_F(TrainingLoopTest, AResumedRunEndsWithTheBytesOfAnUnbrokenOne) {
  ASSERT_TRUE(Train(Options("whole")).ok());
  TrainerOptions first = Options("broken");
  first.max_steps = 3;
  ASSERT_TRUE(Train(first).ok());
  ASSERT_TRUE(Train(Options("broken")).ok());
  EXPECT_THAT(lines_, Contains(HasSubstr("resumed after step 3")));
  EXPECT_TRUE(Weights("broken/squares/6") == Weights("whole/squares/6"));
}

TEST_F(TrainingLoopTest, LogsTheLossesOfAnUnbrokenRunBitForBit) {
  TrainerOptions whole = Options("whole");
  whole.log_every = 1;
  ASSERT_TRUE(Train(whole).ok());
  ASSERT_EQ(Log(whole).size(), 6u);
  TrainerOptions broken = whole;
  broken.out = (folder_.path() / "broken").string();
  broken.max_steps = 5;
  broken.save_every = 3;
  ASSERT_TRUE(Train(broken).ok());
  // As if it had been killed: the last state is that of step 3.
  std::filesystem::remove(RunFolder(broken) + "/state_5.safetensors");
  broken.max_steps = 6;
  ASSERT_TRUE(Train(broken).ok());
  EXPECT_THAT(lines_, Contains(HasSubstr("resumed after step 3")));
  EXPECT_EQ(Log(broken), Log(whole));
}

TEST_F(TrainingLoopTest, KeepsTwoStatesAndFallsBackToTheOlder) {
  TrainerOptions options = Options("a");
  options.save_every = 2;
  ASSERT_TRUE(Train(options).ok());
  const std::filesystem::path folder = RunFolder(options);
  EXPECT_THAT(*ListStates(folder), ElementsAre(6, 4));
  Damage(folder / "state_6.safetensors");
  options.max_steps = 8;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(lines_, Contains(HasSubstr("looking for an older state")));
  EXPECT_THAT(lines_, Contains(HasSubstr("resumed after step 4")));
  TrainerOptions whole = Options("whole");
  whole.max_steps = 8;
  ASSERT_TRUE(Train(whole).ok());
  EXPECT_TRUE(Weights("a/squares/8") == Weights("whole/squares/8"));
}

TEST_F(TrainingLoopTest, ADamagedStateDoesNotTakeThePlaceOfASoundOne) {
  TrainerOptions options = Options("a");
  options.save_every = 2;
  ASSERT_TRUE(Train(options).ok());
  const std::filesystem::path folder = RunFolder(options);
  Damage(folder / "state_6.safetensors");
  options.max_steps = 5;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(*ListStates(folder), ElementsAre(5, 4));
  EXPECT_TRUE(std::filesystem::exists(folder / "state_6.safetensors.damaged"));
}

TEST_F(TrainingLoopTest, AnUnreadableFileEndsTheRunWithTheStepsBeforeItSaved) {
  TrainerOptions options = Options("a");
  faults_.unreadable_step = 5;
  const absl::Status status = Train(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status.message(), "squares: permission denied");
  EXPECT_THAT(*ListStates(RunFolder(options)), ElementsAre(5));
  EXPECT_FALSE(std::filesystem::exists(options.out + "/squares"));
  faults_ = {};
  ASSERT_TRUE(Train(options).ok());
  ASSERT_TRUE(Train(Options("whole")).ok());
  EXPECT_TRUE(Weights("a/squares/6") == Weights("whole/squares/6"));
}

TEST_F(TrainingLoopTest, StopsAfterMaxHours) {
  TrainerOptions options = Options("a");
  options.max_hours = 0.1;  // 6 minutes: two batches of four.
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(Versions(options), ElementsAre(2));
  EXPECT_THAT(lines_, Contains(HasSubstr("stopped after step 2")));
}

TEST_F(TrainingLoopTest, ALossThatIsNotFiniteEndsTheRunWithTheLastStateKept) {
  TrainerOptions options = Options("a");
  options.save_every = 2;
  faults_.bright_step = 5;
  const absl::Status status = Train(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("step 5: a loss is not finite"),
                    HasSubstr("the state after step 4 is kept in")));
  EXPECT_THAT(*ListStates(RunFolder(options)), ElementsAre(4, 2));
  EXPECT_FALSE(std::filesystem::exists(options.out + "/squares"));
}

TEST_F(TrainingLoopTest, AFullDiskCostsTheVersionAndNotTheRun) {
  TrainerOptions options = Options("a");
  options.publish_every = 2;
  // A file stands where the model's folder should.
  std::filesystem::create_directories(options.out);
  WriteBytes(std::filesystem::path(options.out) / options.model, "in the way");
  EXPECT_FALSE(Train(options).ok()) << "at the end it is an error";
  EXPECT_THAT(lines_, Contains(AllOf(HasSubstr("step 2: "),
                                     HasSubstr("training goes on"))));
  EXPECT_THAT(*ListStates(RunFolder(options)), ElementsAre(6));
  EXPECT_THAT(metrics_, HasSubstr("result=\"failed\"} 4"));
}

TEST_F(TrainingLoopTest, ALastVersionThatWasNotPublishedIsPublishedNextTime) {
  const TrainerOptions options = Options("a");
  std::filesystem::create_directories(options.out);
  const std::filesystem::path model =
      std::filesystem::path(options.out) / options.model;
  WriteBytes(model, "in the way");
  ASSERT_FALSE(Train(options).ok());
  std::filesystem::remove(model);
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(lines_, Contains(HasSubstr("resumed after step 6")));
  EXPECT_THAT(Versions(options), ElementsAre(6));
  // And only once.
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(metrics_, AllOf(HasSubstr("result=\"published\"} 0"),
                              HasSubstr("result=\"present\"} 0")));
}

TEST_F(TrainingLoopTest, AVersionThatWasDueAtTheLastStateIsPublishedNextTime) {
  TrainerOptions options = Options("a");
  options.publish_every = 3;
  options.max_steps = 3;
  ASSERT_TRUE(Train(options).ok());
  // As if it had been killed between the two.
  std::filesystem::remove_all(folder_.path() / "a/squares/3");
  std::filesystem::remove(RunFolder(options) + "/published.json");
  options.max_steps = 6;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(lines_, Contains(HasSubstr("resumed after step 3")));
  EXPECT_THAT(Versions(options), ElementsAre(6, 3));
}

TEST_F(TrainingLoopTest, KnowsTheLastVersionAfterAResume) {
  TrainerOptions options = Options("a");
  ASSERT_TRUE(Train(options).ok());
  options.max_steps = 7;
  stop_ = true;
  EXPECT_EQ(Train(options).code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(metrics_,
              HasSubstr("\nddgan_training_last_published_version 6\n"));
}

TEST_F(TrainingLoopTest, APictureThatCannotBeDrawnCostsNoVersion) {
  const TrainerOptions options = Options("a");
  std::filesystem::create_directories(RunFolder(options) +
                                      "/samples_step_6.png/in_the_way");
  EXPECT_FALSE(Train(options).ok());
  EXPECT_THAT(Versions(options), ElementsAre(6));
}

TEST_F(TrainingLoopTest, AVersionCarriesTheConfigurationItWasMadeWith) {
  const TrainerOptions options = Options("a");
  ASSERT_TRUE(Train(options).ok());
  const std::string bytes =
      Bytes(folder_.path() / "a/squares/6/model.safetensors");
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(bytes);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->metadata.at("training_config"), EffectiveConfigJson(options));
}

TEST_F(TrainingLoopTest, MicroBatchesAreTheSameRunAndResumeIt) {
  TrainerOptions options = Options("a");
  options.batch_size = 8;
  options.max_steps = 3;
  options.accumulate = 2;
  options.log_every = 1;
  ASSERT_TRUE(Train(options).ok());
  TrainerOptions whole = options;
  whole.out = (folder_.path() / "whole").string();
  whole.accumulate = 1;
  ASSERT_TRUE(Train(whole).ok());
  const std::vector<nlohmann::json> parts = Log(options), steps = Log(whole);
  ASSERT_EQ(parts.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    for (const char* loss : {"d_loss_real", "d_loss_fake", "g_loss"}) {
      EXPECT_NEAR(parts[i].at(loss), steps[i].at(loss), 1e-4) << loss << i;
    }
  }
  options.accumulate = 1;
  options.max_steps = 4;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(lines_, Contains(HasSubstr("resumed after step 3")));
}

TEST_F(TrainingLoopTest, ReportsProgressWithRateAndLosses) {
  ASSERT_TRUE(Train(Options("a")).ok());
  bool found = false;
  for (const std::string& line : lines_) {
    found |= line.starts_with("step 2/6 (33%)  8 images  ") &&
             line.find(" images/s  D ") != std::string::npos;
  }
  EXPECT_TRUE(found);
}

// The options of a plain denoiser of many steps.
TrainerOptions Denoising(TrainerOptions options) {
  options.model_config.objective = "denoising";
  options.model_config.num_timesteps = 20;
  options.model_config.sampler = "ddim:5";
  return options;
}

TEST_F(TrainingLoopTest, ADenoiserHasNoDiscriminatorAnywhere) {
  const TrainerOptions options = Denoising(Options("a"));
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(lines_, Contains(HasSubstr("parameters, no discriminator, ")));
  EXPECT_THAT(lines_, Contains(AllOf(HasSubstr("step 6/6"), HasSubstr("  G "),
                                     Not(HasSubstr("  D ")))));
  EXPECT_THAT(metrics_, AllOf(HasSubstr("loss{network=\"generator\"}"),
                              Not(HasSubstr("=\"discriminator"))));
  for (const nlohmann::json& line : Log(options)) {
    EXPECT_GT(line["g_loss"], 0);
    for (const char* key :
         {"d_loss_real", "d_loss_fake", "r1", "grad_norm_d", "lr_d"})
      EXPECT_FALSE(line.contains(key)) << key;
  }
  const std::string state =
      Bytes(std::filesystem::path(RunFolder(options)) / "state_6.safetensors");
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(state);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->tensors.size(), 5u);
  for (const TensorView& tensor : view->tensors)
    EXPECT_TRUE(tensor.name.starts_with("generator.")) << tensor.name;
  const absl::StatusOr<Checkpoint> checkpoint =
      ReadCheckpoint(options.out, "squares", 6);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->config.model_config, options.model_config);
  for (const char* picture : {"samples_step_6.png", "denoising_step_6.png"}) {
    EXPECT_TRUE(std::filesystem::exists(
        std::filesystem::path(RunFolder(options)) / picture));
  }
}

TEST_F(TrainingLoopTest, AResumedDenoiserEndsWithTheBytesOfAnUnbrokenOne) {
  ASSERT_TRUE(Train(Denoising(Options("whole"))).ok());
  TrainerOptions first = Denoising(Options("broken"));
  first.max_steps = 3;
  ASSERT_TRUE(Train(first).ok());
  ASSERT_TRUE(Train(Denoising(Options("broken"))).ok());
  EXPECT_THAT(lines_, Contains(HasSubstr("resumed after step 3")));
  EXPECT_TRUE(Weights("broken/squares/6") == Weights("whole/squares/6"));
}

TEST_F(TrainingLoopTest, RefusesToResumeWithAnotherObjective) {
  TrainerOptions options = Options("a");
  ASSERT_TRUE(Train(options).ok());
  options.model_config.objective = "denoising";
  options.max_steps = 8;
  const absl::Status status = Train(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("objective was \"adversarial\" and is "
                        "\"denoising\""));
}

TEST_F(TrainingLoopTest, AGanOfOneStepTrains) {
  TrainerOptions options = Options("a");
  options.model_config.num_timesteps = 1;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(Versions(options), ElementsAre(6));
}

TEST_F(TrainingLoopTest, ADenoiserStartsFromTheGeneratorOfAGan) {
  ASSERT_TRUE(Train(Options("a")).ok());
  TrainerOptions options = Options("b");
  options.model_config.objective = "denoising";
  options.init_from = (folder_.path() / "a/squares/6").string();
  options.max_steps = 2;
  EXPECT_TRUE(Train(options).ok());
}

TEST_F(TrainingLoopTest, RefusesTheStateOfAnotherRun) {
  ASSERT_TRUE(Train(Options("a")).ok());
  TrainerOptions other = Options("a");
  other.seed = 2;
  other.max_steps = 8;
  const absl::Status status = Train(other);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("another run (seed was 1024 and is 2)"));
}

TEST_F(TrainingLoopTest, RefusesToGoOnWithADataSetOfAnotherSize) {
  TrainerOptions options = Options("a");
  ASSERT_TRUE(Train(options).ok());
  samples_ = 20;
  options.max_steps = 8;
  const absl::Status status = Train(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("a data set of 16 samples, this one has 20"));
}

TEST_F(TrainingLoopTest, ResumeNeverDoesNotOverwriteAState) {
  TrainerOptions options = Options("a");
  ASSERT_TRUE(Train(options).ok());
  options.resume = ResumePolicy::kNever;
  EXPECT_EQ(Train(options).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(TrainingLoopTest, ADamagedStateIsDataLoss) {
  TrainerOptions options = Options("a");
  ASSERT_TRUE(Train(options).ok());
  const std::filesystem::path state =
      std::filesystem::path(RunFolder(options)) / "state_6.safetensors";
  Damage(state);
  options.max_steps = 8;
  EXPECT_EQ(Train(options).code(), absl::StatusCode::kDataLoss);
}

TEST_F(TrainingLoopTest, StopSavesWhatWasDone) {
  TrainerOptions options = Options("a");
  stop_ = true;
  EXPECT_EQ(Train(options).code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(options.out + "/squares"));
  stop_ = false;
  faults_.stop_step = 3;
  EXPECT_EQ(Train(options).code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(Versions(options), ElementsAre(4));
  EXPECT_TRUE(
      std::filesystem::exists(RunFolder(options) + "/state_4.safetensors"));
}

TEST_F(TrainingLoopTest, AStateIsSavedBeforePicturesAreDrawn) {
  TrainerOptions options = Options("a");
  options.save_every = options.sample_every = 2;
  std::filesystem::create_directories(RunFolder(options));
  // Names in the order in which they appear: times of files are too coarse.
  const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  ASSERT_GE(inotify_add_watch(watch, RunFolder(options).c_str(),
                              IN_CREATE | IN_MOVED_TO),
            0);
  ASSERT_TRUE(Train(options).ok());
  std::vector<std::string> names;
  alignas(inotify_event) char buffer[4096];
  ssize_t size;
  while ((size = read(watch, buffer, sizeof(buffer))) > 0) {
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      names.push_back(event->name);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  close(watch);
  // Whatever becomes of the picture of step 4, its state is there by then.
  const auto state =
      std::find(names.begin(), names.end(), "state_4.safetensors");
  const auto picture = std::find(state, names.end(), "samples_step_4.png");
  EXPECT_NE(picture, names.end());
}

TEST_F(TrainingLoopTest, StartsFromAPublishedVersionAndCountsOnFromIt) {
  ASSERT_TRUE(Train(Options("a")).ok());
  TrainerOptions options = Options("b");
  options.init_from = (folder_.path() / "a/squares/6").string();
  options.discriminator_head_start = 4;
  options.max_steps = 4;
  ASSERT_TRUE(Train(options).ok());
  // The generator did not learn yet, so its version 10 is version 6.
  EXPECT_TRUE(Weights("b/squares/10") == Weights("a/squares/6"));
  options.max_steps = 6;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_FALSE(Weights("b/squares/12") == Weights("a/squares/6"));
}

TEST_F(TrainingLoopTest, GoesOnWhenTheVersionThatItStartedFromIsGone) {
  ASSERT_TRUE(Train(Options("a")).ok());
  TrainerOptions options = Options("b");
  options.init_from = (folder_.path() / "a/squares/6").string();
  options.max_steps = 2;
  ASSERT_TRUE(Train(options).ok());
  std::filesystem::remove_all(options.init_from);
  options.max_steps = 4;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(Versions(options), ElementsAre(10, 8));
}

TEST_F(TrainingLoopTest, RefusesAVersionToStartFromThatDoesNotFit) {
  ASSERT_TRUE(Train(Options("a")).ok());
  TrainerOptions options = Options("b");
  options.init_from = (folder_.path() / "a/squares/7").string();
  EXPECT_EQ(Train(options).code(), absl::StatusCode::kNotFound);
  options.init_from = (folder_.path() / "a/squares").string();
  EXPECT_NE(Train(options).message().find("must end in <model>/<version>"),
            std::string::npos);
  options.init_from = (folder_.path() / "a/squares/6").string();
  options.model_config.nz = 8;
  EXPECT_NE(Train(options).message().find("architecture"), std::string::npos);
}

TEST_F(TrainingLoopTest, PublishesWhenTheLastVersionIsOld) {
  TrainerOptions options = Options("a");
  options.publish_minutes = 8;  // Two batches of four.
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(Versions(options), ElementsAre(6, 4, 2));
}

TEST_F(TrainingLoopTest, RemovesItsOldVersionsAndNoOthers) {
  TrainerOptions options = Options("a");
  options.max_steps = 2;
  ASSERT_TRUE(Train(options).ok());
  // Of somebody else.
  const std::filesystem::path model =
      std::filesystem::path(options.out) / options.model;
  std::filesystem::copy(model / "2", model / "1",
                        std::filesystem::copy_options::recursive);
  options.max_steps = 6;
  options.publish_every = 1;
  options.keep_published = 1;
  options.keep_published_every = 3;
  ASSERT_TRUE(Train(options).ok());
  // Version 2 is of the run's first part.
  EXPECT_THAT(Versions(options), ElementsAre(6, 3, 1));
}

TEST_F(TrainingLoopTest, AVersionThatSomebodyChangedStaysAndStopsNothing) {
  TrainerOptions options = Options("a");
  options.max_steps = 2;
  ASSERT_TRUE(Train(options).ok());
  const std::string notes = options.out + "/squares/2/notes.txt";
  WriteBytes(notes, "mine");
  options.max_steps = 6;
  options.keep_published = 1;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_THAT(Versions(options), ElementsAre(6, 2));
  EXPECT_THAT(lines_,
              Contains(AllOf(HasSubstr("version 2"), HasSubstr("notes.txt"))));
}

TEST_F(TrainingLoopTest, NamesTheFlagThatIsOutOfRange) {
  TrainerOptions options = Options("a");
  options.batch_size = 6;
  EXPECT_NE(Train(options).message().find("--batch_size is 6"),
            std::string::npos);
  options = Options("a");
  options.ema_decay = 1.5;
  EXPECT_NE(Train(options).message().find("--ema_decay is 1.5"),
            std::string::npos);
  options = Options("a");
  options.keep_published_every = 5;
  EXPECT_NE(Train(options).message().find("--keep_published_every is 5"),
            std::string::npos);
  options = Options("a");
  options.model_config.num_channels = 3;
  EXPECT_NE(Train(options).message().find("1x32x32"), std::string::npos);
}

}  // namespace
}  // namespace ddgan

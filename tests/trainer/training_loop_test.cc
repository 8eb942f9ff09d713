// Whole runs on a tiny network: stop, resume, publish, refuse.
#include "trainer/training_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint_format.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Sixteen small pictures, each a bright square somewhere else. Every one takes
// a minute to read.
class SquaresDataset : public ImageDataset {
 public:
  explicit SquaresDataset(ManualClock* clock) : clock_(clock) {}

  size_t size() const override { return 16; }
  const ImageShape& shape() const override { return shape_; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override {
    clock_->Advance(absl::Minutes(1));
    for (size_t i = 0; i < pixels.size(); ++i) {
      const size_t x = i % 32, y = i / 32;
      pixels[i] = x / 8 == index % 4 && y / 8 == index / 4 ? 255 : 0;
    }
    return absl::OkStatus();
  }

 private:
  ManualClock* const clock_;
  const ImageShape shape_ = {1, 32, 32};
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
    return options;
  }

  absl::Status Train(const TrainerOptions& options) {
    lines_.clear();
    return RunTraining(
        options, dataset_, stop_, &clock_,
        [this](const std::string& line) { lines_.push_back(line); });
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

  const TemporaryFolder folder_;
  ManualClock clock_;
  const SquaresDataset dataset_{&clock_};
  std::atomic<bool> stop_ = false;
  std::vector<std::string> lines_;
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

TEST_F(TrainingLoopTest, AResumedRunEndsWithTheBytesOfAnUnbrokenOne) {
  ASSERT_TRUE(Train(Options("whole")).ok());
  TrainerOptions first = Options("broken");
  first.max_steps = 3;
  ASSERT_TRUE(Train(first).ok());
  ASSERT_TRUE(Train(Options("broken")).ok());
  EXPECT_EQ(Bytes(folder_.path() / "broken/squares/6/model.safetensors"),
            Bytes(folder_.path() / "whole/squares/6/model.safetensors"));
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
      std::filesystem::path(RunFolder(options)) / "state.safetensors";
  std::string bytes = Bytes(state);
  bytes[bytes.size() - 5] ^= 0x40;
  std::ofstream(state, std::ios::binary) << bytes;
  options.max_steps = 8;
  EXPECT_EQ(Train(options).code(), absl::StatusCode::kDataLoss);
}

TEST_F(TrainingLoopTest, StopSavesWhatWasDone) {
  stop_ = true;
  TrainerOptions options = Options("a");
  EXPECT_TRUE(Train(options).ok());
  EXPECT_FALSE(std::filesystem::exists(options.out + "/squares"));
}

TEST_F(TrainingLoopTest, StartsFromAPublishedVersionAndCountsOnFromIt) {
  ASSERT_TRUE(Train(Options("a")).ok());
  TrainerOptions options = Options("b");
  options.init_from = (folder_.path() / "a/squares/6").string();
  options.discriminator_head_start = 4;
  options.max_steps = 4;
  ASSERT_TRUE(Train(options).ok());
  // The generator did not learn yet, so its version 10 is version 6.
  EXPECT_EQ(Bytes(folder_.path() / "b/squares/10/model.safetensors"),
            Bytes(folder_.path() / "a/squares/6/model.safetensors"));
  options.max_steps = 6;
  ASSERT_TRUE(Train(options).ok());
  EXPECT_NE(Bytes(folder_.path() / "b/squares/12/model.safetensors"),
            Bytes(folder_.path() / "a/squares/6/model.safetensors"));
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

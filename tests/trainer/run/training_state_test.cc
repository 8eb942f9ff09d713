#include "trainer/run/training_state.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/fakes/temporary_folder.h"
#include "trainer/run/state_files.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kStep = 7;

class TrainingStateTest : public ::testing::Test {
 protected:
  static NetworksConfig Networks() {
    NetworksConfig config;
    config.kind = NetworkKind::kToyMlp;
    config.toy_width = 4;
    config.model.nz = 1;
    return config;
  }

  static TrainingStep NewTraining() {
    return TrainingStep(
        Networks(), {},
        InitialParameters(PlanGeneratorParameters(Networks()), 1),
        InitialParameters(PlanDiscriminatorParameters(Networks()), 2),
        at::kCPU);
  }

  void Save() {
    saved_.ema().Update(saved_.generator_parameters().values());
    ASSERT_TRUE(
        SaveTrainingState(folder_.path(), saved_, kStep, identity_).ok());
  }

  absl::Status Load() {
    return LoadTrainingState(folder_.path(), kStep, identity_, loaded_);
  }

  const TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_.path() / StateFileName(kStep);
  StateIdentity identity_ = {R"({"batch_size":8,"seed":1024})", 60000};
  TrainingStep saved_ = NewTraining();
  TrainingStep loaded_ = NewTraining();
};

TEST_F(TrainingStateTest, GivesBackEveryTensor) {
  float value = 0;
  saved_.ema().Update(saved_.generator_parameters().values());
  for (const auto& [name, tensor] : TrainingStateTensors(saved_))
    tensor.fill_(++value);
  ASSERT_TRUE(SaveTrainingState(folder_.path(), saved_, kStep, identity_).ok());
  ASSERT_TRUE(Load().ok());
  value = 0;
  for (const auto& [name, tensor] : TrainingStateTensors(loaded_))
    EXPECT_TRUE(at::equal(tensor, at::full_like(tensor, ++value))) << name;
}

TEST_F(TrainingStateTest, AFlippedBitIsDamageWhereverItIs) {
  Save();
  ASSERT_TRUE(Load().ok());
  std::string bytes = ReadBytes(file_);
  const size_t header = bytes.find("}}") + 2;
  ASSERT_LT(header, bytes.size());
  // Of the header every byte, of the tensors some.
  for (size_t i = 0; i < bytes.size(); i += i < header ? 1 : 101) {
    bytes[i] ^= 1 << (i % 8);
    WriteBytes(file_, bytes);
    const absl::Status status = Load();
    ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss)
        << "byte " << i << ": " << status;
    bytes[i] ^= 1 << (i % 8);
  }
}

TEST_F(TrainingStateTest, ADamagedStateChangesNothing) {
  Save();
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 4);
  EXPECT_TRUE(absl::IsDataLoss(Load()));
  EXPECT_FALSE(loaded_.ema().values().defined());
}

TEST_F(TrainingStateTest, FollowsALinkOfTheOperator) {
  Save();
  std::filesystem::rename(file_, folder_.path() / "elsewhere");
  std::filesystem::create_symlink("elsewhere", file_);
  EXPECT_TRUE(Load().ok());
}

TEST_F(TrainingStateTest, WhatCannotBeReadIsNotDamaged) {
  std::filesystem::create_directory(file_);
  const absl::Status status = Load();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("state_7.safetensors: is not a regular file"));
}

TEST_F(TrainingStateTest, AStateUnderTheNameOfAnotherStepIsDamage) {
  Save();
  std::filesystem::rename(file_, folder_.path() / StateFileName(kStep + 1));
  const absl::Status status =
      LoadTrainingState(folder_.path(), kStep + 1, identity_, loaded_);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the one after step 7"));
}

TEST_F(TrainingStateTest, NamesWhatAnotherRunHasDifferent) {
  Save();
  identity_.fingerprint = R"({"batch_size":8,"seed":2})";
  absl::Status status = Load();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(file_.string()),
                    HasSubstr("another run (seed was 1024 and is 2)")));
  identity_ = {R"({"batch_size":8,"seed":1024})", 59999};
  status = Load();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("on a data set of 60000 samples, this one has 59999"));
}

}  // namespace
}  // namespace ddgan

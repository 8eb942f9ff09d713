#include "engine/checkpoint/model_loader.h"

#include <gtest/gtest.h>

#include <utility>

#include "engine/model/model.h"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

Checkpoint TinyCheckpoint() {
  Checkpoint checkpoint;
  checkpoint.identity = {"tiny", 3, "digest"};
  checkpoint.config = TinyCheckpointConfig();
  checkpoint.weights = TinyWeights(checkpoint.config.model_config, 0.25f);
  return checkpoint;
}

TEST(LoadModelTest, KeepsTheWeightsInTheFormsThatItsLanesNeed) {
  const Checkpoint checkpoint = TinyCheckpoint();
  const auto cpu = LoadModel(checkpoint, ModelUse::kCpuLanes);
  const auto tensor = LoadModel(checkpoint, ModelUse::kGpuLanes);
  const auto both = LoadModel(checkpoint, ModelUse::kAllLanes);
  ASSERT_TRUE(cpu.ok() && tensor.ok() && both.ok());
  EXPECT_EQ(cpu->model->identity(), checkpoint.identity);
  EXPECT_EQ(cpu->bytes, cpu->model->bytes());
  EXPECT_TRUE(cpu->model->parameters().empty());
  EXPECT_EQ(both->model->bytes(), cpu->model->bytes() + tensor->model->bytes());
  EXPECT_NO_THROW(both->model->generator());
  EXPECT_THROW(tensor->model->generator(), std::bad_optional_access);
  for (const at::Tensor& parameter : tensor->model->parameters()) {
    EXPECT_EQ(parameter.min().item<float>(), 0.25f);
    EXPECT_EQ(parameter.max().item<float>(), 0.25f);
  }
}

TEST(LoadModelTest, NamesTheVersionWhoseWeightsDoNotFit) {
  Checkpoint checkpoint = TinyCheckpoint();
  checkpoint.config.model_config.z_emb_dim = 8;
  const absl::Status status =
      LoadModel(checkpoint, ModelUse::kGpuLanes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().substr(0, 8), "tiny/3: ");
}

TEST(LoadModelTest, IsGivenUpWhereverItIsToldToStop) {
  const Checkpoint checkpoint = TinyCheckpoint();
  const auto load = [&](int questions) {
    int asked = 0;
    const auto stopped = [&] { return ++asked > questions; };
    const absl::Status status =
        LoadModel(checkpoint, ModelUse::kCpuLanes, stopped).status();
    return std::pair(status.code(), asked);
  };
  const auto [whole, all_questions] = load(1000);
  EXPECT_EQ(whole, absl::StatusCode::kOk);
  for (const int questions : {0, all_questions / 2, all_questions - 1}) {
    EXPECT_EQ(load(questions),
              std::pair(absl::StatusCode::kCancelled, questions + 1));
  }
}

}  // namespace
}  // namespace ddgan

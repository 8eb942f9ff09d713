// What a stranger's bytes can do to the parsers: valid files with random damage
// are read, and must be refused or understood, never more. The seed is fixed;
// the sanitizer build is where this pays.
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include "engine/checkpoint/checkpoint_format.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weights_check.h"
#include "gtest/gtest.h"
#include "tests/fakes/mutated_bytes.h"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

constexpr int kRounds = 3000;

TEST(MutationTest, DamagedSafetensorsAreRefusedOrWellFormed) {
  const GeneratorPlan plan = PlanGenerator(TinyModelConfig());
  const std::string weights = TinyWeights(TinyModelConfig());
  // Damage is interesting in the header; behind it, it is only other weights.
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, weights.data(), sizeof(header_bytes));
  header_bytes += sizeof(header_bytes);
  std::mt19937 random(1);
  for (int round = 0; round < kRounds; ++round) {
    const std::string file = MutatedBytes(weights, header_bytes, &random);
    const auto view = ParseSafetensors(file);
    if (!view.ok()) continue;
    size_t data_bytes = 0;
    for (const TensorView& tensor : view->tensors) {
      EXPECT_GE(tensor.data.data(), file.data());
      EXPECT_LE(tensor.data.data() + tensor.data.size(),
                file.data() + file.size());
      data_bytes += tensor.data.size();
    }
    EXPECT_LE(data_bytes, file.size());
    CheckWeights(*view, plan).IgnoreError();
  }
}

TEST(MutationTest, DamagedConfigIsRefusedOrValid) {
  const std::string config = CheckpointConfigToJson(TinyCheckpointConfig());
  std::mt19937 random(2);
  for (int round = 0; round < kRounds; ++round) {
    const auto parsed =
        ParseCheckpointConfig(MutatedBytes(config, config.size(), &random));
    if (!parsed.ok()) continue;
    EXPECT_TRUE(ValidateModelConfig(parsed->model_config).ok());
    EXPECT_TRUE(IsModelName(parsed->model));
  }
}

TEST(MutationTest, DamagedManifestIsRefusedOrWellFormed) {
  const std::string manifest =
      ManifestToJson({.config = {std::string(64, 'a'), 100},
                      .weights = {std::string(64, 'b'), 200}});
  std::mt19937 random(3);
  for (int round = 0; round < kRounds; ++round) {
    const auto parsed =
        ParseManifest(MutatedBytes(manifest, manifest.size(), &random));
    if (parsed.ok()) {
      EXPECT_EQ(parsed->config.sha256.size(), 64u);
      EXPECT_EQ(parsed->weights.sha256.size(), 64u);
    }
  }
}

}  // namespace
}  // namespace ddgan

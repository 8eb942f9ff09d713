#include "trainer/import/checkpoint_import.h"

#include <limits>
#include <string>
#include <vector>

#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/tiny_checkpoint.h"
#include "tests/trainer/import/pth_writer.h"
#include "tests_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

fs::path GoldenPath(const std::string& name) {
  return fs::path(DDGAN_TESTS_DIR) / "golden" / name;
}

// Of gen_small.
ModelConfig SmallConfig() {
  ModelConfig config;
  config.num_channels_dae = 32;
  config.ch_mult = {1, 2, 2};
  config.num_res_blocks = 1;
  config.nz = 32;
  config.z_emb_dim = 32;
  config.n_mlp = 3;
  return config;
}

// Of train_tiny.
ModelConfig TrainTinyConfig() {
  ModelConfig config;
  config.image_size = 16;
  config.num_channels_dae = 8;
  config.ch_mult = {1, 1};
  config.num_res_blocks = 1;
  config.nz = 8;
  config.z_emb_dim = 16;
  config.n_mlp = 2;
  return config;
}

class CheckpointImportTest : public ::testing::Test {
 protected:
  absl::StatusOr<ModelIdentity> Import(const fs::path& file,
                                       const ModelConfig& model_config) {
    CheckpointConfig config = TinyCheckpointConfig("imported");
    config.model_config = model_config;
    return ImportCheckpoint(file, root_.path(), 5, config);
  }

  // Imports, and compares what a server would read with tensors
  // "<prefix><name>" of a fixture, bit for bit.
  void ExpectImportEquals(const std::string& pth, const ModelConfig& config,
                          const std::string& fixture,
                          const std::string& prefix) {
    const auto identity = Import(GoldenPath(pth), config);
    ASSERT_TRUE(identity.ok()) << identity.status();
    const auto checkpoint = ReadCheckpoint(root_.path(), "imported", 5);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_EQ(checkpoint->identity, *identity);
    const SafetensorsView imported =
        ParseSafetensors(checkpoint->weights).value();
    const std::string expected_bytes = ReadBytes(GoldenPath(fixture));
    const SafetensorsView expected = ParseSafetensors(expected_bytes).value();
    ASSERT_EQ(imported.tensors.size(), PlanGenerator(config).parameters.size());
    for (const TensorView& tensor : imported.tensors) {
      const TensorView* wanted = expected.Find(prefix + tensor.name);
      ASSERT_NE(wanted, nullptr) << tensor.name;
      EXPECT_EQ(tensor.dtype, wanted->dtype) << tensor.name;
      EXPECT_EQ(tensor.shape, wanted->shape) << tensor.name;
      EXPECT_TRUE(tensor.data == wanted->data) << tensor.name;
    }
  }

  std::string Refusal(const fs::path& file, const ModelConfig& config) {
    const auto identity = Import(file, config);
    EXPECT_TRUE(fs::is_empty(root_.path()));
    return identity.ok() ? "accepted"
                         : std::string(identity.status().message());
  }

  const TemporaryFolder root_;
};

TEST_F(CheckpointImportTest, OneStoragePerTensorArrivesBitForBit) {
  ExpectImportEquals("netG_small.pth", SmallConfig(), "gen_small.safetensors",
                     "sd.");
}

TEST_F(CheckpointImportTest, SharedStoragesWithOffsetsArriveBitForBit) {
  ExpectImportEquals("netG_ema_tiny.pth", TrainTinyConfig(),
                     "train_tiny.safetensors", "step2.after.ema.");
}

TEST_F(CheckpointImportTest, CudaTagsAreNoObstacle) {
  ExpectImportEquals("netG_ema_tiny_cuda0.pth", TrainTinyConfig(),
                     "train_tiny.safetensors", "step2.after.ema.");
}

TEST_F(CheckpointImportTest, TrainingStateIsCalledWhatItIsAndWhatToUse) {
  EXPECT_THAT(Refusal(GoldenPath("content_tiny.pth"), TrainTinyConfig()),
              AllOf(HasSubstr("content_tiny.pth: is a training state"),
                    HasSubstr("import the netG_<epoch>.pth")));
}

TEST_F(CheckpointImportTest, OtherArchitectureIsRefusedWithTheOneThatFits) {
  EXPECT_THAT(Refusal(GoldenPath("netG_small.pth"), ModelConfig()),
              AllOf(HasSubstr("all_modules.0.weight has shape [128, 32], the "
                              "config wants [512, 128]"),
                    HasSubstr("\"num_channels_dae\": 32, \"ch_mult\": [1, 2, 2]"
                              ", \"num_res_blocks\": 1")));
}

// A .pth for TinyModelConfig(): every tensor a window of one storage.
std::string TinyPickle(const std::string& prefix, int64_t* num_values) {
  const GeneratorPlan plan = PlanGenerator(TinyModelConfig());
  const auto values_of = [](const ParameterPlan& parameter) {
    int64_t values = 1;
    for (int64_t size : parameter.shape) values *= size;
    return values;
  };
  *num_values = 0;
  for (const ParameterPlan& parameter : plan.parameters)
    *num_values += values_of(parameter);
  PickleWriter pickle;
  pickle.Start().EmptyOrderedDict().Raw("(");
  int64_t offset = 0;
  for (const ParameterPlan& parameter : plan.parameters) {
    std::vector<int64_t> strides(parameter.shape.size(), 1);
    for (size_t d = strides.size(); d-- > 1;)
      strides[d - 1] = strides[d] * parameter.shape[d];
    pickle.String(prefix + parameter.name)
        .Tensor("0", *num_values, offset, parameter.shape, strides);
    offset += values_of(parameter);
  }
  return pickle.Raw("u").Stop().bytes();
}

TEST_F(CheckpointImportTest, NamesMayLackTheModulePrefix) {
  const TemporaryFolder folder;
  for (const char* prefix : {"", "module."}) {
    int64_t num_values = 0;
    const std::string pickle = TinyPickle(prefix, &num_values);
    WriteZip(folder.path() / "x.pth",
             {{"x/data.pkl", pickle},
              {"x/data/0", FloatBytes(std::vector<float>(num_values, 0.5f))}});
    const auto identity = Import(folder.path() / "x.pth", TinyModelConfig());
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(ReadCheckpoint(root_.path(), "imported", 5)->weights,
              TinyWeights(TinyModelConfig(), 0.5f));
    fs::remove_all(root_.path() / "imported");
  }
}

TEST_F(CheckpointImportTest, NotANumberInTheFileIsRefused) {
  const TemporaryFolder folder;
  int64_t num_values = 0;
  const std::string pickle = TinyPickle("", &num_values);
  std::vector<float> values(num_values, 0.5f);
  values.back() = std::numeric_limits<float>::quiet_NaN();
  WriteZip(folder.path() / "x.pth",
           {{"x/data.pkl", pickle}, {"x/data/0", FloatBytes(values)}});
  EXPECT_THAT(Refusal(folder.path() / "x.pth", TinyModelConfig()),
              HasSubstr("z_transform.3.bias holds an infinity or NaN"));
}

TEST_F(CheckpointImportTest, PickleThatWouldRunCodeIsRefusedAndDoesNotRun) {
  const TemporaryFolder folder;
  const fs::path proof = folder.path() / "proof";
  WriteZip(folder.path() / "evil.pth",
           {{"evil/data.pkl", PickleWriter()
                                  .Start()
                                  .Global("posix", "system")
                                  .Raw("(")
                                  .String("touch " + proof.string())
                                  .Raw("tR")
                                  .Stop()
                                  .bytes()}});
  EXPECT_THAT(Refusal(folder.path() / "evil.pth", TinyModelConfig()),
              AllOf(HasSubstr("evil.pth: its pickle asks for \"posix system\""),
                    HasSubstr("nothing was run")));
  EXPECT_FALSE(fs::exists(proof));
}

// Strides of 0 make a tensor of any size out of one value: shapes are compared
// before a byte of it is made.
TEST_F(CheckpointImportTest, TensorOfAbsurdSizeIsRefusedUnread) {
  const TemporaryFolder folder;
  WriteZip(folder.path() / "x.pth",
           {{"x/data.pkl",
             PickleWriter()
                 .Start()
                 .Raw("}")
                 .String("all_modules.0.weight")
                 .Tensor("0", 1, 0, {int64_t{1} << 40, 1 << 20}, {0, 0})
                 .Raw("s")
                 .Stop()
                 .bytes()},
            {"x/data/0", FloatBytes({1})}});
  EXPECT_THAT(Refusal(folder.path() / "x.pth", TinyModelConfig()),
              HasSubstr("has shape [1099511627776, 1048576]"));
}

TEST_F(CheckpointImportTest, TruncatedAnywhereIsRefused) {
  const TemporaryFolder folder;
  const std::string bytes = ReadBytes(GoldenPath("netG_ema_tiny.pth"));
  for (size_t size = 0; size < bytes.size(); size += 1499) {
    WriteBytes(folder.path() / "x.pth", bytes.substr(0, size));
    EXPECT_NE(Refusal(folder.path() / "x.pth", TrainTinyConfig()), "accepted")
        << size;
  }
}

TEST_F(CheckpointImportTest, ConfigIsCheckedFirst) {
  ModelConfig config = SmallConfig();
  config.fir = false;
  EXPECT_THAT(Refusal(GoldenPath("netG_small.pth"), config),
              HasSubstr("fir = false"));
}

}  // namespace
}  // namespace ddgan

#include "trainer/import/checkpoint_import.h"

#include <functional>
#include <limits>
#include <string>
#include <string_view>
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
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
  absl::StatusOr<ImportedVersion> Import(const fs::path& file,
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
    const auto version = Import(GoldenPath(pth), config);
    ASSERT_TRUE(version.ok()) << version.status();
    const auto checkpoint = ReadCheckpoint(root_.path(), "imported", 5);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_EQ(checkpoint->identity, version->identity);
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
std::string TinyPickle(const std::string& prefix, int64_t* num_values,
                       const std::string& type = "FloatStorage",
                       const std::string& wrapper = "") {
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
  pickle.Start();
  if (!wrapper.empty()) pickle.Raw("}").String(wrapper);
  pickle.EmptyOrderedDict().Raw("(");
  int64_t offset = 0;
  for (const ParameterPlan& parameter : plan.parameters) {
    std::vector<int64_t> strides(parameter.shape.size(), 1);
    for (size_t d = strides.size(); d-- > 1;)
      strides[d - 1] = strides[d] * parameter.shape[d];
    pickle.String(prefix + parameter.name)
        .Tensor("0", *num_values, offset, parameter.shape, strides, type);
    offset += values_of(parameter);
  }
  pickle.Raw("u");
  if (!wrapper.empty()) pickle.Raw("s");
  return pickle.Stop().bytes();
}

TEST_F(CheckpointImportTest, TakesOffWhatTrainingToolsPutAround) {
  const TemporaryFolder folder;
  const auto import = [&](const std::string& prefix, const std::string& type,
                          const std::string& wrapper,
                          const std::function<std::string(int64_t)>& values) {
    fs::remove_all(root_.path() / "imported");
    int64_t num_values = 0;
    const std::string pickle = TinyPickle(prefix, &num_values, type, wrapper);
    WriteZip(folder.path() / "x.pth",
             {{"x/data.pkl", pickle}, {"x/data/0", values(num_values)}});
    const auto version = Import(folder.path() / "x.pth", TinyModelConfig());
    EXPECT_TRUE(version.ok()) << version.status();
    EXPECT_EQ(ReadCheckpoint(root_.path(), "imported", 5)->weights,
              TinyWeights(TinyModelConfig(), 0.5f));
    return version.ok() ? version->remarks : std::vector<std::string>();
  };
  const auto floats = [](int64_t count) {
    return FloatBytes(std::vector<float>(count, 0.5f));
  };
  const auto repeated = [](std::string_view two_bytes) {
    return [two_bytes](int64_t count) {
      std::string bytes;
      for (int64_t i = 0; i < count; ++i) bytes.append(two_bytes);
      return bytes;
    };
  };
  EXPECT_THAT(import("", "FloatStorage", "", floats), IsEmpty());
  EXPECT_THAT(import("module.", "FloatStorage", "", floats),
              ElementsAre("taken off the names: \"module.\" of "
                          "DistributedDataParallel or DataParallel"));
  EXPECT_THAT(import("_orig_mod.module.netG.", "FloatStorage", "", floats),
              ElementsAre(AllOf(HasSubstr("\"_orig_mod.\" of torch.compile"),
                                HasSubstr("\"netG.\" of a module"))));
  EXPECT_THAT(
      import("", "FloatStorage", "state_dict", floats),
      ElementsAre(HasSubstr("the tensors lie under the key \"state_dict\"")));
  EXPECT_THAT(import("", "HalfStorage", "", repeated({"\0\x38", 2})),
              ElementsAre(HasSubstr("tensors of F16 are widened to F32")));
  EXPECT_THAT(import("", "BFloat16Storage", "", repeated({"\0\x3f", 2})),
              ElementsAre(HasSubstr("tensors of BF16 are widened to F32")));
}

TEST_F(CheckpointImportTest, TakesSafetensorsOfTheSameNames) {
  const TemporaryFolder folder;
  const std::string weights = TinyWeights(TinyModelConfig(), 0.5f);
  std::vector<TensorView> tensors = ParseSafetensors(weights)->tensors;
  for (TensorView& tensor : tensors) tensor.name.insert(0, "module.");
  WriteBytes(folder.path() / "blob", SerializeSafetensors(tensors).value());
  // As a download cache has it.
  fs::create_symlink("blob", folder.path() / "x.safetensors");
  const auto version =
      Import(folder.path() / "x.safetensors", TinyModelConfig());
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(ReadCheckpoint(root_.path(), "imported", 5)->weights, weights);
  EXPECT_THAT(version->remarks, ElementsAre(HasSubstr("\"module.\"")));
}

TEST_F(CheckpointImportTest, NamesASafetensorsTensorOfAnotherType) {
  const TemporaryFolder folder;
  const std::string weights = TinyWeights(TinyModelConfig(), 0.5f);
  std::vector<TensorView> tensors = ParseSafetensors(weights)->tensors;
  const std::string doubles(tensors[0].data.size() * 2, '\0');
  tensors[0].dtype = DType::kFloat64;
  tensors[0].data = doubles;
  WriteBytes(folder.path() / "x", SerializeSafetensors(tensors).value());
  EXPECT_THAT(Refusal(folder.path() / "x", TinyModelConfig()),
              HasSubstr("\"" + tensors[0].name +
                        "\" has dtype F64; F32, F16 and BF16 are taken"));
  WriteBytes(folder.path() / "x",
             SerializeSafetensors(tensors).value().substr(0, 200));
  EXPECT_THAT(Refusal(folder.path() / "x", TinyModelConfig()),
              HasSubstr("x: safetensors"));
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

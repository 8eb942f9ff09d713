#include "trainer/evaluation/features/efficientnet_lite0.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/base/program_options.h"
#include "engine/checkpoint/safetensors.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The generator of the fixtures, whose figures come from other implementations.
std::vector<uint8_t> Bytes(size_t count) {
  std::vector<uint8_t> bytes(count);
  uint64_t s = 12345;
  for (uint8_t& byte : bytes) {
    s = (1103515245 * s + 12345) % (uint64_t{1} << 31);
    byte = static_cast<uint8_t>(s >> 23);
  }
  return bytes;
}

std::string Weights() {
  return ReadBytes(EfficientNetLite0File(OwnEnvironment()));
}

EfficientNetLite0::Output OutputOf(int64_t side) {
  const std::vector<uint8_t> bytes = Bytes(side * side * 3);
  const auto network = EfficientNetLite0::FromSafetensors(Weights());
  EXPECT_TRUE(network.ok()) << network.status();
  const at::NoGradGuard no_grad;
  return network->Forward(at::from_blob(const_cast<uint8_t*>(bytes.data()),
                                        {1, side, side, 3},
                                        at::TensorOptions(at::kByte))
                              .permute({0, 3, 1, 2}));
}

// Implementations agree to 2e-6, and the figures have six digits.
constexpr float kTolerance = 3e-6f;

TEST(EfficientNetLite0Test, GivesThePublishedFeaturesOfAPictureOfItsSize) {
  const EfficientNetLite0::Output output = OutputOf(224);
  ASSERT_EQ(output.features.sizes(), at::IntArrayRef({1, 1280}));
  ASSERT_EQ(output.logits.sizes(), at::IntArrayRef({1, 1000}));
  const float* const features = output.features.const_data_ptr<float>();
  EXPECT_NEAR(features[0], 0.905652f, kTolerance);
  EXPECT_NEAR(features[2], 1.948737f, kTolerance);
  for (const int i : {1, 3, 4, 5, 6, 7}) EXPECT_EQ(features[i], 0) << i;
  EXPECT_NEAR(at::linalg_vector_norm(output.features).item<float>(), 17.70477f,
              2e-5f);
  EXPECT_EQ(output.logits.argmax().item<int64_t>(), 21);
  EXPECT_NEAR(output.logits.max().item<float>(), 6.88820f, 1e-5f);
}

TEST(EfficientNetLite0Test, GivesThePublishedFeaturesOfAPictureMadeLarger) {
  const EfficientNetLite0::Output output = OutputOf(32);
  const float* const features = output.features.const_data_ptr<float>();
  EXPECT_NEAR(features[0], 0.507336f, kTolerance);
  EXPECT_NEAR(features[2], 0.082498f, kTolerance);
  EXPECT_NEAR(features[7], 0.041032f, kTolerance);
  EXPECT_NEAR(at::linalg_vector_norm(output.features).item<float>(), 14.308425f,
              5e-6f);
  EXPECT_EQ(output.logits.argmax().item<int64_t>(), 885);
}

TEST(EfficientNetLite0Test, NamesATensorThatIsMissing) {
  const std::string bytes = Weights();
  SafetensorsView file = *ParseSafetensors(bytes);
  std::erase_if(file.tensors, [](const TensorView& tensor) {
    return tensor.name == "_blocks.3._bn1.running_var";
  });
  const std::string without = *SerializeSafetensors(file.tensors);
  const absl::Status status =
      EfficientNetLite0::FromSafetensors(without).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "no EfficientNet-Lite0: _blocks.3._bn1.running_var is missing or "
            "of another shape");
  EXPECT_EQ(EfficientNetLite0::FromSafetensors("x").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(EfficientNetLite0Test, ItsFileIsWhereTheInstallScriptPutsIt) {
  Environment variables;
  const auto file = [&] { return EfficientNetLite0File(variables).string(); };
  variables["HOME"] = "/home/me";
  EXPECT_EQ(file(),
            "/home/me/.cache/ddgan/evaluation/efficientnet-lite0.safetensors");
  variables["XDG_CACHE_HOME"] = "/cache";
  EXPECT_EQ(file(), "/cache/ddgan/evaluation/efficientnet-lite0.safetensors");
  variables["DDGAN_DEPS"] = "/deps";
  EXPECT_EQ(file(), "/deps/evaluation/efficientnet-lite0.safetensors");
  variables["DDGAN_EVALUATION_DIR"] = "/here";
  EXPECT_EQ(file(), "/here/efficientnet-lite0.safetensors");
}

TEST(EfficientNetLite0Test, AFileThatIsMissingOrAnotherSaysHowToGetIt) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "weights";
  const absl::Status missing = OpenEfficientNetLite0(path).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(),
            path.string() +
                ": no such file or folder; docker/install_dependencies.sh "
                "--evaluation installs it");
  std::string bytes = Weights();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  WriteBytes(path, bytes);
  const absl::Status other = OpenEfficientNetLite0(path).status();
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.message()),
              AllOf(HasSubstr(path.string()), HasSubstr("SHA-256"),
                    HasSubstr("docker/install_dependencies.sh --evaluation")));
}

}  // namespace
}  // namespace ddgan

#include "engine/versions/version_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/tiny_checkpoint.h"
#include "trainer/run/checkpoint_publisher.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class VersionSourceTest : public ::testing::Test {
 protected:
  VersionSourceTest() {
    std::string name = ::testing::TempDir() + "version_source_XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~VersionSourceTest() override { std::filesystem::remove_all(root_); }

  void Publish(int64_t version) {
    const absl::StatusOr<ModelIdentity> published =
        PublishCheckpoint(root_, version, TinyCheckpointConfig("digits"),
                          TinyWeights(TinyModelConfig()));
    ASSERT_TRUE(published.ok()) << published.status();
  }

  std::filesystem::path root_;
};

TEST_F(VersionSourceTest, ReadsWhatWasPublishedAndHandsItToTheLoader) {
  Publish(3);
  Publish(12);
  const std::shared_ptr<const Model> weights =
      MakeServableVersion("digits", 12).model;
  const auto source = NewDirectoryVersionSource(
      root_, [&](const Checkpoint& checkpoint, StopCheck) {
        EXPECT_EQ(checkpoint.weights, TinyWeights(TinyModelConfig()));
        return LoadedModel{weights, 77};
      });
  EXPECT_THAT(source->ListModelNames().value(), ElementsAre("digits"));
  EXPECT_THAT(source->ListVersions("digits").value(),
              ElementsAre(VersionOnDisk{12, source->Examine("digits", 12)},
                          VersionOnDisk{3, source->Examine("digits", 3)}));
  EXPECT_NE(source->Examine("digits", 12), source->Examine("digits", 3));
  EXPECT_THAT(source->FoldersToWatch(),
              ::testing::UnorderedElementsAre(root_ / ".", root_ / "digits",
                                              root_ / "digits" / "3",
                                              root_ / "digits" / "12"));
  const absl::StatusOr<ServableVersion> version =
      source->Load("digits", 12, NeverStop);
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->identity.model, "digits");
  EXPECT_EQ(version->identity.version, 12);
  EXPECT_EQ(version->identity.digest.size(), 64u);
  EXPECT_EQ(version->shape, (ImageShape{1, 8, 8}));
  EXPECT_EQ(version->num_timesteps, 2);
  EXPECT_EQ(version->evaluations, 2);
  EXPECT_EQ(version->training_step, 17);
  EXPECT_EQ(version->dataset, "none");
  EXPECT_EQ(version->model, weights);
  EXPECT_EQ(version->bytes, 77);
}

TEST_F(VersionSourceTest, TheLoaderNeverSeesATornVersion) {
  Publish(1);
  std::ofstream(root_ / "digits" / "1" / kWeightsFileName, std::ios::app)
      << "more";
  const auto source = NewDirectoryVersionSource(
      root_, [](const Checkpoint&, StopCheck) -> absl::StatusOr<LoadedModel> {
        ADD_FAILURE() << "the loader was called";
        return absl::UnknownError("");
      });
  const absl::Status status = source->Load("digits", 1, NeverStop).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(kWeightsFileName));
}

TEST_F(VersionSourceTest, ALoadersErrorComesBack) {
  Publish(1);
  const auto source = NewDirectoryVersionSource(
      root_, [](const Checkpoint&, StopCheck) -> absl::StatusOr<LoadedModel> {
        return absl::ResourceExhaustedError("out of memory");
      });
  EXPECT_EQ(source->Load("digits", 1, NeverStop).status(),
            absl::ResourceExhaustedError("out of memory"));
}

TEST_F(VersionSourceTest, AnAbsentFolderIsNotFound) {
  const auto source = NewDirectoryVersionSource(
      root_ / "absent",
      [](const Checkpoint&, StopCheck) { return LoadedModel(); });
  EXPECT_EQ(source->ListModelNames().status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace ddgan

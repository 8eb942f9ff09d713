#include "server/kserve/model_description.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

const ResolvedModel kModel = {.identity = {"faces", 9, "dd"},
                              .shape = {3, 16, 8},
                              .num_timesteps = 4,
                              .evaluations = 7,
                              .version = nullptr};

ModelStatus Faces() {
  ModelStatus faces;
  faces.model = "faces";
  const VersionState states[] = {
      VersionState::kOnDisk, VersionState::kLoading, VersionState::kWaiting,
      VersionState::kLive,   VersionState::kLoaded,  VersionState::kRefused};
  int64_t version = 16;
  for (const VersionState state : states) {
    ModelVersionStatus status;
    status.identity = {"faces", --version, ""};
    status.state = state;
    if (state == VersionState::kRefused) status.reason = "digest differs";
    faces.versions.push_back(status);
  }
  return faces;
}

TEST(ModelDescriptionTest, MetadataHasTheNumberOfImagesFirst) {
  const inference::ModelMetadataResponse metadata =
      DescribeModel(kModel, {8, 9});
  EXPECT_EQ(metadata.name(), "faces");
  EXPECT_THAT(metadata.versions(), ElementsAre("8", "9"));
  ASSERT_EQ(metadata.inputs_size(), 2);
  EXPECT_EQ(metadata.inputs(0).name(), "seed");
  EXPECT_EQ(metadata.inputs(0).datatype(), "UINT64");
  EXPECT_THAT(metadata.inputs(0).shape(), ElementsAre(-1, 1));
  EXPECT_EQ(metadata.inputs(1).name(), "index");
  EXPECT_EQ(metadata.inputs(1).datatype(), "UINT32");
  EXPECT_THAT(metadata.inputs(1).shape(), ElementsAre(-1, 1));
  ASSERT_EQ(metadata.outputs_size(), 3);
  EXPECT_EQ(metadata.outputs(0).name(), "image");
  EXPECT_THAT(metadata.outputs(0).shape(), ElementsAre(-1, 16, 8, 3));
  EXPECT_EQ(metadata.outputs(1).name(), "png");
  EXPECT_THAT(metadata.outputs(1).shape(), ElementsAre(-1));
  EXPECT_EQ(metadata.outputs(2).name(), "float32");
  EXPECT_THAT(metadata.outputs(2).shape(), ElementsAre(-1, 3, 16, 8));
}

// Triton's clients take the first dimension of metadata for that of the batch
// where max_batch_size is not 0, and expect the others in the configuration.
TEST(ModelDescriptionTest, TheConfigurationAgreesWithTheMetadata) {
  const inference::ModelConfig config = ConfigOf(kModel);
  const inference::ModelMetadataResponse metadata = DescribeModel(kModel, {9});
  EXPECT_EQ(config.name(), "faces");
  EXPECT_EQ(config.max_batch_size(), 64);
  ASSERT_EQ(config.input_size(), metadata.inputs_size());
  for (int i = 0; i < config.input_size(); ++i) {
    EXPECT_EQ(config.input(i).name(), metadata.inputs(i).name());
    EXPECT_EQ(inference::DataType_Name(config.input(i).data_type()),
              "TYPE_" + metadata.inputs(i).datatype());
    // perf_analyzer does not send an input that has no dimension left.
    EXPECT_THAT(config.input(i).dims(), ElementsAre(1));
    EXPECT_THAT(metadata.inputs(i).shape(), ElementsAre(-1, 1));
  }
  EXPECT_FALSE(config.input(0).optional());
  EXPECT_TRUE(config.input(1).optional());
  ASSERT_EQ(config.output_size(), metadata.outputs_size());
  for (int i = 0; i < config.output_size(); ++i) {
    EXPECT_EQ(config.output(i).name(), metadata.outputs(i).name());
    std::vector<int64_t> shape = {-1};
    for (const int64_t dimension : config.output(i).dims()) {
      shape.push_back(dimension);
    }
    EXPECT_THAT(metadata.outputs(i).shape(),
                ::testing::ElementsAreArray(shape));
  }
  EXPECT_EQ(config.output(1).data_type(), inference::TYPE_STRING);
  EXPECT_EQ(config.dynamic_batching().priority_levels(), 2u);
  EXPECT_EQ(config.parameters().at("evaluations").string_value(), "7");
}

TEST(ModelDescriptionTest, TheIndexTellsWhatIsServedAndWhyTheRestIsNot) {
  const inference::RepositoryIndexResponse index =
      IndexOf({Faces()}, /*ready=*/false);
  std::vector<std::string> states;
  for (const auto& entry : index.models()) {
    EXPECT_EQ(entry.name(), "faces");
    states.push_back(entry.version() + " " + entry.state());
  }
  EXPECT_THAT(states,
              ElementsAre("15 UNAVAILABLE", "14 LOADING", "13 UNAVAILABLE",
                          "12 READY", "11 READY", "10 UNAVAILABLE"));
  EXPECT_EQ(index.models(5).reason(), "digest differs");
  const auto ready = IndexOf({Faces()}, /*ready=*/true);
  ASSERT_EQ(ready.models_size(), 2);
  EXPECT_EQ(ready.models(1).version(), "11");
  EXPECT_THAT(LoadedVersions(Faces()), ElementsAre(11, 12));
}

TEST(ModelDescriptionTest, StatisticsAreInNanoseconds) {
  CallStatistics::Tally tally;
  EXPECT_EQ(ConvertTally("faces", 9, tally).last_inference(), 0u);
  tally.succeeded = 2;
  tally.failed = 1;
  tally.images = 5;
  tally.succeeded_time = absl::Milliseconds(140);
  tally.failed_time = absl::Milliseconds(70);
  tally.queue = absl::Milliseconds(6);
  tally.steps = absl::Milliseconds(80);
  tally.encode = absl::Microseconds(1);
  tally.last = absl::FromUnixMillis(1'700'000'000'250);
  const inference::ModelStatistics statistics = ConvertTally("faces", 9, tally);
  EXPECT_EQ(statistics.name(), "faces");
  EXPECT_EQ(statistics.version(), "9");
  EXPECT_EQ(statistics.last_inference(), 1'700'000'000'250u);
  EXPECT_EQ(statistics.inference_count(), 5u);
  EXPECT_EQ(statistics.execution_count(), 2u);
  const inference::InferStatistics& calls = statistics.inference_stats();
  EXPECT_EQ(calls.success().count(), 2u);
  EXPECT_EQ(calls.success().ns(), 140'000'000u);
  EXPECT_EQ(calls.fail().count(), 1u);
  EXPECT_EQ(calls.fail().ns(), 70'000'000u);
  EXPECT_EQ(calls.queue().count(), 2u);
  EXPECT_EQ(calls.queue().ns(), 6'000'000u);
  EXPECT_EQ(calls.compute_infer().ns(), 80'000'000u);
  EXPECT_EQ(calls.compute_output().ns(), 1000u);
}

}  // namespace
}  // namespace ddgan

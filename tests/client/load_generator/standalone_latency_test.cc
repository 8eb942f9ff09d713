#include "client/load_generator/standalone_latency.h"

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_image_server.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StandaloneLatencyTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::map<uint32_t, absl::Duration>> Measure() {
    ImageClient::Options options;
    options.retry.max_attempts = 1;
    return MeasureStandaloneLatency(
        ImageClient(server_.address(), options), options_,
        [this](uint32_t images) { images_ += images; });
  }

  FakeImageServer server_;
  LoadOptions options_;
  uint32_t images_ = 0;
};

TEST_F(StandaloneLatencyTest, AsksForEachCountAndOnceMoreToConnect) {
  options_.mix.counts = {{16}, {1}, {16}};
  options_.standalone_calls = 2;
  options_.request.set_format(v1::OUTPUT_FORMAT_RAW8);
  const auto latencies = Measure();
  ASSERT_TRUE(latencies.ok()) << latencies.status();
  ASSERT_THAT(*latencies, SizeIs(2));
  EXPECT_GT(latencies->at(1), absl::ZeroDuration());
  EXPECT_GT(latencies->at(16), absl::ZeroDuration());
  std::vector<uint32_t> counts;
  for (const v1::GenerateRequest& request : server_.requests()) {
    counts.push_back(request.count());
    EXPECT_EQ(request.format(), v1::OUTPUT_FORMAT_RAW8);
  }
  EXPECT_THAT(counts, ElementsAre(1, 1, 1, 16, 16));
  EXPECT_EQ(images_, StandaloneImages(options_));
}

TEST_F(StandaloneLatencyTest, IsNotMeasuredIfNoCallsAreWanted) {
  options_.standalone_calls = 0;
  EXPECT_THAT(*Measure(), IsEmpty());
  EXPECT_THAT(server_.requests(), IsEmpty());
  EXPECT_EQ(StandaloneImages(options_), 0u);
}

TEST_F(StandaloneLatencyTest, EndsAtTheFirstError) {
  server_.FailNext(
      {grpc::Status(grpc::StatusCode::UNAVAILABLE, "no device"), std::nullopt});
  EXPECT_EQ(Measure().status(), absl::UnavailableError("no device"));
  EXPECT_THAT(server_.requests(), SizeIs(1));
}

}  // namespace
}  // namespace ddgan

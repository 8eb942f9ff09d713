#include "server/calls/request_conversion.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/caller_name.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t kDrawn = 99;

absl::StatusOr<ConvertedRequest> Convert(const v1::GenerateRequest& request) {
  return ConvertRequest(request, absl::FromUnixSeconds(5),
                        [] { return kDrawn; });
}

v1::GenerateRequest RequestFor(uint32_t count) {
  v1::GenerateRequest request;
  request.set_count(count);
  return request;
}

// Expects that `request` is refused with a message that has all three parts.
void ExpectRefused(const v1::GenerateRequest& request, const char* field,
                   const char* value, const char* range) {
  const absl::Status status = Convert(request).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(field), HasSubstr(value), HasSubstr(range)));
}

TEST(RequestConversionTest, FillsUnsetFieldsWithDefaults) {
  const auto converted = Convert(RequestFor(2));
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_THAT(converted->formats, ElementsAre(v1::OUTPUT_FORMAT_PNG));
  const GenerationRequest& generation = converted->generation;
  EXPECT_EQ(generation.model, "");
  EXPECT_FALSE(generation.version.has_value());
  EXPECT_EQ(generation.count, 2u);
  EXPECT_EQ(generation.seed, kDrawn);
  EXPECT_EQ(generation.first_index, 0u);
  EXPECT_EQ(generation.pixel_format, PixelFormat::kUint8);
  EXPECT_EQ(generation.deadline, absl::FromUnixSeconds(5));
  EXPECT_EQ(generation.request_class, RequestClass::kInteractive);
}

TEST(RequestConversionTest, TakesEverySetField) {
  v1::GenerateRequest request = RequestFor(64);
  request.set_model("digits");
  request.set_version(7);
  request.set_seed(0);
  request.set_first_index(12);
  request.set_format(v1::OUTPUT_FORMAT_FLOAT32);
  request.set_request_class(v1::REQUEST_CLASS_BATCH);
  const auto converted = Convert(request);
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_THAT(converted->formats, ElementsAre(v1::OUTPUT_FORMAT_FLOAT32));
  const GenerationRequest& generation = converted->generation;
  EXPECT_EQ(generation.model, "digits");
  EXPECT_EQ(generation.version, 7);
  EXPECT_EQ(generation.seed, 0u);
  EXPECT_EQ(generation.first_index, 12u);
  EXPECT_EQ(generation.pixel_format, PixelFormat::kFloat32);
  EXPECT_EQ(generation.request_class, RequestClass::kBatch);
}

TEST(RequestConversionTest, RefusesCountsOutsideOneToSixtyFour) {
  ExpectRefused(v1::GenerateRequest(), "count", "0", "[1, 64]");
  ExpectRefused(RequestFor(65), "count", "65", "[1, 64]");
  EXPECT_TRUE(Convert(RequestFor(1)).ok());
  EXPECT_TRUE(Convert(RequestFor(64)).ok());
}

TEST(RequestConversionTest, RefusesVersionsBelowOne) {
  v1::GenerateRequest request = RequestFor(1);
  request.set_version(0);
  ExpectRefused(request, "version", "0", "[1, 9223372036854775807]");
  request.set_version(-4);
  ExpectRefused(request, "version", "-4", "[1, 9223372036854775807]");
}

TEST(RequestConversionTest, RefusesFormatsThatTheEnumDoesNotList) {
  v1::GenerateRequest request = RequestFor(1);
  request.set_format(static_cast<v1::OutputFormat>(4));
  ExpectRefused(request, "format", "4", "[0, 3]");
  request.set_format(static_cast<v1::OutputFormat>(-1));
  ExpectRefused(request, "format", "-1", "[0, 3]");
}

TEST(RequestConversionTest, RefusesClassesThatTheEnumDoesNotList) {
  v1::GenerateRequest request = RequestFor(1);
  request.set_request_class(static_cast<v1::RequestClass>(3));
  ExpectRefused(request, "request_class", "3", "[0, 2]");
  request.set_request_class(v1::REQUEST_CLASS_INTERACTIVE);
  EXPECT_EQ(Convert(request)->generation.request_class,
            RequestClass::kInteractive);
}

TEST(RequestConversionTest, RefusesALastIndexPast32BitsInsteadOfWrapping) {
  v1::GenerateRequest request = RequestFor(2);
  request.set_first_index(std::numeric_limits<uint32_t>::max() - 1);
  EXPECT_TRUE(Convert(request).ok());
  request.set_first_index(std::numeric_limits<uint32_t>::max());
  ExpectRefused(request, "first_index", "4294967295", "[0, 4294967294]");
}

TEST(RequestConversionTest, RefusesAnOverlongModelNameWithoutRepeatingIt) {
  v1::GenerateRequest request = RequestFor(1);
  request.set_model(std::string(kMaxNameSize, 'm'));
  EXPECT_TRUE(Convert(request).ok());
  request.set_model(std::string(60000, 'm'));
  ExpectRefused(request, "model", "60000 bytes", "[0, 64]");
  EXPECT_LT(Convert(request).status().message().size(), 200u);
}

TEST(RequestConversionTest, LimitsAReplyToWhatAChannelCarries) {
  ConvertedRequest request;
  request.generation.count = 64;
  request.formats = {v1::OUTPUT_FORMAT_FLOAT32};
  EXPECT_TRUE(CheckReplySize(request, {3, 256, 256}).ok());
  const absl::Status status = CheckReplySize(request, {3, 512, 512});
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("count: 64"), HasSubstr("[1, 21]"),
                    HasSubstr("3x512x512")));
  request.formats = {v1::OUTPUT_FORMAT_PNG};
  EXPECT_TRUE(CheckReplySize(request, {3, 512, 512}).ok());
  request.formats = {v1::OUTPUT_FORMAT_PNG, v1::OUTPUT_FORMAT_RAW8};
  request.count_field = "seeds";
  EXPECT_THAT(std::string(CheckReplySize(request, {3, 512, 512}).message()),
              HasSubstr("seeds: 64 is out of range [1, 42] for "
                        "OUTPUT_FORMAT_PNG and OUTPUT_FORMAT_RAW8 images"));
}

TEST(RequestConversionTest, TellsWhatIsKnownOfAnAcceptedStream) {
  Acceptance acceptance;
  acceptance.identity = {"digits", 3, "dd"};
  acceptance.shape = {3, 16, 8};
  acceptance.num_timesteps = 4;
  acceptance.evaluations = 7;
  acceptance.images_ahead = 7;
  EXPECT_FALSE(ConvertAcceptance(acceptance, 9).has_expected_start());
  acceptance.expected_start = absl::Milliseconds(1250);
  const v1::StreamAccepted accepted = ConvertAcceptance(acceptance, 9);
  EXPECT_EQ(accepted.model(), "digits");
  EXPECT_EQ(accepted.version(), 3);
  EXPECT_EQ(accepted.checkpoint_digest(), "dd");
  EXPECT_EQ(accepted.seed(), 9u);
  EXPECT_EQ(accepted.num_timesteps(), 4u);
  EXPECT_EQ(accepted.evaluations(), 7u);
  EXPECT_EQ(accepted.shape().channels(), 3u);
  EXPECT_EQ(accepted.shape().height(), 16u);
  EXPECT_EQ(accepted.shape().width(), 8u);
  EXPECT_EQ(accepted.images_ahead(), 7u);
  EXPECT_EQ(accepted.expected_start().seconds(), 1);
  EXPECT_EQ(accepted.expected_start().nanos(), 250'000'000);
}

TEST(RequestConversionTest, RefusesToActOnNoModelOrNoVersion) {
  EXPECT_EQ(CheckModelName("").message(),
            "model: name of 0 bytes, allowed are [1, 64]");
  EXPECT_EQ(CheckModelName(std::string(65, 'm')).message(),
            "model: name of 65 bytes, allowed are [1, 64]");
  EXPECT_TRUE(absl::IsInvalidArgument(CheckModelName("")));
  EXPECT_TRUE(CheckModelName(std::string(64, 'm')).ok());
  for (int64_t version : {int64_t{0}, int64_t{-3}}) {
    EXPECT_EQ(CheckVersion(version),
              absl::InvalidArgumentError(
                  absl::StrCat("version: ", version,
                               " is out of range [1, 9223372036854775807]")));
  }
  EXPECT_TRUE(CheckVersion(1).ok());
}

TEST(RequestConversionTest, ReadsADeadlineThatIsFarAwayAsNone) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  const gpr_timespec grpc_now = {
      .tv_sec = 7, .tv_nsec = 900'000'000, .clock_type = GPR_CLOCK_MONOTONIC};
  const auto deadline_in = [&](int64_t seconds) {
    gpr_timespec deadline = grpc_now;
    deadline.tv_sec += seconds;
    return ConvertDeadline(deadline, grpc_now, now);
  };
  EXPECT_EQ(ConvertDeadline(gpr_inf_future(GPR_CLOCK_MONOTONIC), grpc_now, now),
            absl::InfiniteFuture());
  // The time that is left stays, whatever the two clocks read.
  EXPECT_EQ(deadline_in(2), now + absl::Seconds(2));
  EXPECT_EQ(deadline_in(-2), now - absl::Seconds(2));
  EXPECT_EQ(ConvertDeadline({8, 0, GPR_CLOCK_MONOTONIC}, grpc_now, now),
            now + absl::Milliseconds(100));
  EXPECT_EQ(deadline_in(3600 * 24 * 365), now + absl::Hours(24 * 365));
  // 99,999,999 hours are the longest that HTTP/2 carries; 2,070,000 and more no
  // longer fit into 64 bits of nanoseconds since 1970.
  for (const int64_t hours : {2'070'000, 2'562'047, 5'124'094, 99'999'999}) {
    EXPECT_EQ(deadline_in(3600 * hours), absl::InfiniteFuture()) << hours;
  }
}

}  // namespace
}  // namespace ddgan

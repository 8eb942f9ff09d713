#include "server/kserve/infer_conversion.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/kserve/infer_requests.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

using Request = inference::ModelInferRequest;

void ExpectRefused(const Request& request, const std::string& message) {
  const auto converted = ConvertInfer(request);
  EXPECT_TRUE(absl::IsInvalidArgument(converted.status()))
      << converted.status();
  EXPECT_EQ(converted.status().message(), message);
}

ConvertedInfer Converted(const Request& request) {
  auto converted = ConvertInfer(request);
  EXPECT_TRUE(converted.ok()) << converted.status();
  return *std::move(converted);
}

TEST(InferConversionTest, ARequestIsOneForAsManyImagesAsSeeds) {
  const ConvertedInfer converted = Converted(InferRequestFor({7, 8}, {"png"}));
  const GenerationRequest& generation = converted.request.generation;
  EXPECT_EQ(generation.model, "digits");
  EXPECT_EQ(generation.version, std::nullopt);
  EXPECT_EQ(generation.count, 2u);
  EXPECT_THAT(generation.noise,
              ElementsAre(ImageNoise{7, 0}, ImageNoise{8, 0}));
  EXPECT_EQ(generation.pixel_format, PixelFormat::kUint8);
  EXPECT_EQ(generation.request_class, RequestClass::kInteractive);
  EXPECT_THAT(converted.request.formats, ElementsAre(v1::OUTPUT_FORMAT_PNG));
  EXPECT_EQ(converted.timeout, absl::InfiniteDuration());
}

TEST(InferConversionTest, OutputsComeInTheirOrderAndAllIfNoneIsNamed) {
  EXPECT_THAT(
      Converted(InferRequestFor({1}, {"float32", "image"})).request.formats,
      ElementsAre(v1::OUTPUT_FORMAT_FLOAT32, v1::OUTPUT_FORMAT_RAW8));
  const ConvertedInfer all = Converted(InferRequestFor({1}));
  EXPECT_THAT(all.request.formats,
              ElementsAre(v1::OUTPUT_FORMAT_RAW8, v1::OUTPUT_FORMAT_PNG,
                          v1::OUTPUT_FORMAT_FLOAT32));
  EXPECT_EQ(all.request.generation.pixel_format, PixelFormat::kFloat32);
  ExpectRefused(InferRequestFor({1}, {"png", "jpeg"}),
                "outputs: 'jpeg' is not an output; there are image, png and "
                "float32");
  ExpectRefused(InferRequestFor({1}, {"png", "png"}),
                "outputs 'png': is there twice");
  Request classified = InferRequestFor({1}, {"png"});
  (*classified.mutable_outputs(0)->mutable_parameters())["classification"]
      .set_int64_param(3);
  ExpectRefused(classified,
                "outputs 'png': parameters: 'classification' is not known "
                "here; there are none");
}

TEST(InferConversionTest, ParametersAreADeadlineAndAPriority) {
  const auto with = [](const std::string& name, auto set) {
    Request request = InferRequestFor({1});
    set(&(*request.mutable_parameters())[name]);
    return request;
  };
  const auto with_int = [&](const std::string& name, int64_t value) {
    return with(name, [value](auto* p) { p->set_int64_param(value); });
  };
  const auto with_uint = [&](const std::string& name, uint64_t value) {
    return with(name, [value](auto* p) { p->set_uint64_param(value); });
  };
  EXPECT_EQ(Converted(with_int("timeout", 1500)).timeout,
            absl::Microseconds(1500));
  EXPECT_EQ(Converted(with_uint("timeout", 1500)).timeout,
            absl::Microseconds(1500));
  EXPECT_EQ(Converted(with_int("timeout", 0)).timeout,
            absl::InfiniteDuration());
  EXPECT_EQ(Converted(with_int("timeout", INT64_MAX)).timeout,
            absl::Microseconds(INT64_MAX));
  ExpectRefused(with_int("timeout", -1),
                "parameters: 'timeout': -1; allowed are [0, "
                "9223372036854775807], an integer");
  ExpectRefused(with_uint("timeout", UINT64_MAX),
                "parameters: 'timeout': 18446744073709551615; allowed are [0, "
                "9223372036854775807], an integer");
  ExpectRefused(with("timeout", [](auto* p) { p->set_string_param("1s"); }),
                "parameters: 'timeout': is not an integer; allowed are [0, "
                "9223372036854775807], an integer");

  const auto class_of = [](const Request& request) {
    return Converted(request).request.generation.request_class;
  };
  EXPECT_EQ(class_of(with_uint("priority", 0)), RequestClass::kInteractive);
  EXPECT_EQ(class_of(with_uint("priority", 1)), RequestClass::kInteractive);
  EXPECT_EQ(class_of(with_int("priority", 2)), RequestClass::kBatch);
  ExpectRefused(with_uint("priority", 3),
                "parameters: 'priority': 3; allowed are [0, 2], an integer");
  ExpectRefused(
      with("priority", [](auto* /*unset*/) {}),
      "parameters: 'priority': is not an integer; allowed are [0, 2], an "
      "integer");

  // perf_analyzer always has it.
  EXPECT_TRUE(
      ConvertInfer(with("triton_enable_empty_final_response", [](auto* p) {
        p->set_bool_param(true);
      })).ok());
  ExpectRefused(with_int("sequence_id", 1),
                "parameters: 'sequence_id' is not known here; there are "
                "timeout and priority");
}

TEST(InferConversionTest, NamesAndIdsAreBounded) {
  Request request = InferRequestFor({1});
  request.set_model_name("");
  ExpectRefused(request, "model_name: name of 0 bytes, allowed are [1, 64]");
  request.set_model_name(std::string(65, 'm'));
  ExpectRefused(request, "model_name: name of 65 bytes, allowed are [1, 64]");
  request = InferRequestFor({1});
  request.set_id(std::string(256, 'i'));
  EXPECT_TRUE(ConvertInfer(request).ok());
  request.set_id(std::string(257, 'i'));
  ExpectRefused(request, "id: 257 bytes, allowed are [0, 256]");
}

TEST(InferConversionTest, AVersionIsDecimal) {
  EXPECT_EQ(*ConvertModelVersion("version", ""), std::nullopt);
  EXPECT_EQ(*ConvertModelVersion("version", "12"), 12);
  EXPECT_EQ(*ConvertModelVersion("version", "9223372036854775807"), INT64_MAX);
  for (const std::string text :
       {"0", "-1", "+1", " 1", "1.0", "latest", "9223372036854775808"}) {
    EXPECT_EQ(ConvertModelVersion("version", text).status(),
              absl::InvalidArgumentError(
                  "version: '" + text +
                  "' is not a decimal number in [1, 9223372036854775807]"));
  }
  Request request = InferRequestFor({1});
  request.set_model_version("3");
  EXPECT_EQ(Converted(request).request.generation.version, 3);
}

TEST(InferConversionTest, AReplyHasItsTensorsOneBehindTheOther) {
  const ConvertedInfer converted =
      Converted(InferRequestFor({7, 8}, {"png", "float32", "image"}));
  Acceptance acceptance;
  acceptance.identity = {"digits", 3, "dd"};
  acceptance.shape = {3, 4, 5};
  inference::ModelInferResponse response;
  FillInferHeader(acceptance, converted.request, "mine", &response);
  FillInferContents(converted.request,
                    {{std::string(300, 'p'), "ffff", "rr"}, {"", "FFFF", "RR"}},
                    &response);
  EXPECT_EQ(response.model_name(), "digits");
  EXPECT_EQ(response.model_version(), "3");
  EXPECT_EQ(response.id(), "mine");
  EXPECT_EQ(response.parameters().at("checkpoint_digest").string_param(), "dd");
  ASSERT_EQ(response.outputs_size(), 3);
  EXPECT_EQ(response.outputs(0).name(), "png");
  EXPECT_EQ(response.outputs(0).datatype(), "BYTES");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(2));
  EXPECT_EQ(response.outputs(1).name(), "float32");
  EXPECT_EQ(response.outputs(1).datatype(), "FP32");
  EXPECT_THAT(response.outputs(1).shape(), ElementsAre(2, 3, 4, 5));
  EXPECT_EQ(response.outputs(2).name(), "image");
  EXPECT_EQ(response.outputs(2).datatype(), "UINT8");
  EXPECT_THAT(response.outputs(2).shape(), ElementsAre(2, 4, 5, 3));
  EXPECT_THAT(response.raw_output_contents(),
              ElementsAre(std::string("\x2c\x01\0\0", 4) +
                              std::string(300, 'p') + std::string(4, '\0'),
                          "ffffFFFF", "rrRR"));
}

}  // namespace
}  // namespace ddgan

#include "server/kserve/input_tensors.h"

#include <limits>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/kserve/infer_requests.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

using Request = inference::ModelInferRequest;

void ExpectRefused(const Request& request, const std::string& message) {
  const auto noise = ReadNoise(request);
  EXPECT_TRUE(absl::IsInvalidArgument(noise.status())) << noise.status();
  EXPECT_EQ(noise.status().message(), message);
}

// With typed contents.
Request TypedRequestFor(const std::vector<uint64_t>& seeds) {
  Request request = InferRequestFor(seeds);
  request.clear_raw_input_contents();
  for (const uint64_t seed : seeds) {
    request.mutable_inputs(0)->mutable_contents()->add_uint64_contents(seed);
  }
  return request;
}

TEST(InputTensorsTest, ASeedIsAnImageOfIndexZero) {
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  for (const Request& request :
       {InferRequestFor({7, kLargest}), TypedRequestFor({7, kLargest})}) {
    const auto noise = ReadNoise(request);
    ASSERT_TRUE(noise.ok()) << noise.status();
    EXPECT_THAT(*noise, ElementsAre(ImageNoise{7, 0}, ImageNoise{kLargest, 0}));
  }
}

TEST(InputTensorsTest, IndicesAreThoseOfTheSeedsBesideThem) {
  Request raw;
  AddRawInput<uint32_t>("index", "UINT32", {0xfedcba98, 1}, &raw);
  AddRawInput<uint64_t>("seed", "UINT64", {0x0123456789abcdef, 5}, &raw);
  Request typed = raw;
  typed.clear_raw_input_contents();
  auto& indices = *typed.mutable_inputs(0)->mutable_contents();
  indices.add_uint_contents(0xfedcba98);
  indices.add_uint_contents(1);
  auto& seeds = *typed.mutable_inputs(1)->mutable_contents();
  seeds.add_uint64_contents(0x0123456789abcdef);
  seeds.add_uint64_contents(5);
  for (const Request& request : {raw, typed}) {
    const auto noise = ReadNoise(request);
    ASSERT_TRUE(noise.ok()) << noise.status();
    EXPECT_THAT(*noise, ElementsAre(ImageNoise{0x0123456789abcdef, 0xfedcba98},
                                    ImageNoise{5, 1}));
  }
}

TEST(InputTensorsTest, NamesWhatIsWrongWithTheInputsAsAWhole) {
  ExpectRefused(Request(), "inputs 'seed': is missing");
  Request request = InferRequestFor({1});
  AddRawInput<uint64_t>("seed", "UINT64", {1}, &request);
  ExpectRefused(request, "inputs 'seed': is there twice");
  request = InferRequestFor({1});
  AddRawInput<float>("guide", "FP32", {1}, &request);
  ExpectRefused(request,
                "inputs: 'guide' is not an input; there are seed and index");
  request = InferRequestFor({1, 2});
  AddRawInput<uint32_t>("index", "UINT32", {1}, &request);
  ExpectRefused(request, "inputs 'index': is of 1 images, but seed is of 2");
  request = InferRequestFor({1});
  request.add_raw_input_contents("12345678");
  ExpectRefused(request,
                "raw_input_contents: 2 elements; allowed are none or one for "
                "each of the inputs, 1");
}

TEST(InputTensorsTest, AShapeIsTheNumberOfImages) {
  const auto shaped = [](const std::vector<int64_t>& shape) {
    Request request = InferRequestFor({1});
    request.mutable_inputs(0)->clear_shape();
    for (const int64_t dimension : shape) {
      request.mutable_inputs(0)->add_shape(dimension);
    }
    return request;
  };
  const auto refusal = [](const std::string& shape) {
    return "inputs 'seed': shape [" + shape +
           "] is not [n] or [n,1] with n in [1, 64]";
  };
  ExpectRefused(shaped({}), refusal(""));
  ExpectRefused(shaped({0}), refusal("0"));
  ExpectRefused(shaped({-1}), refusal("-1"));
  ExpectRefused(shaped({65}), refusal("65"));
  EXPECT_TRUE(ReadNoise(shaped({1, 1})).ok());
  ExpectRefused(shaped({1, 2}), refusal("1,2"));
  ExpectRefused(shaped({1, -1}), refusal("1,-1"));
  ExpectRefused(shaped({1, 1, 1}), refusal("1,1,1"));
  ExpectRefused(shaped({std::numeric_limits<int64_t>::min()}),
                refusal("-9223372036854775808"));
  ExpectRefused(shaped({std::numeric_limits<int64_t>::max()}),
                refusal("9223372036854775807"));
  // 2^61 elements of 8 bytes are 0 bytes if the product wraps around.
  Request wraps = shaped({int64_t{1} << 61});
  wraps.set_raw_input_contents(0, "");
  ExpectRefused(wraps, refusal("2305843009213693952"));
  ExpectRefused(shaped(std::vector<int64_t>(100000, 1)),
                refusal("1,1,1,1,1,1,1,1,..."));
}

TEST(InputTensorsTest, ContentsHaveTheShapesSize) {
  for (const size_t bytes : {0, 1, 7, 9, 16, 100000}) {
    Request request = InferRequestFor({1});
    request.set_raw_input_contents(0, std::string(bytes, 'x'));
    ExpectRefused(request, "inputs 'seed': raw_input_contents has " +
                               std::to_string(bytes) +
                               " bytes; 1 elements of UINT64 take 8");
  }
  Request request = TypedRequestFor({1, 2});
  request.mutable_inputs(0)->set_shape(0, 3);
  ExpectRefused(
      request,
      "inputs 'seed': contents has 2 elements, 2 of them UINT64; wanted "
      "are 3");
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(3);
  ExpectRefused(
      request,
      "inputs 'seed': contents has 3 elements, 2 of them UINT64; wanted "
      "are 3");
  request = TypedRequestFor({1});
  request.mutable_inputs(0)->mutable_contents()->add_bytes_contents("more");
  ExpectRefused(
      request,
      "inputs 'seed': contents has 2 elements, 1 of them UINT64; wanted "
      "are 1");
  request = InferRequestFor({1});
  request.mutable_inputs(0)->mutable_contents()->add_uint64_contents(1);
  ExpectRefused(request,
                "inputs 'seed': contents are not allowed beside "
                "raw_input_contents");
  request = InferRequestFor({1});
  request.clear_raw_input_contents();
  ExpectRefused(
      request,
      "inputs 'seed': contents has 0 elements, 0 of them UINT64; wanted "
      "are 1");
}

TEST(InputTensorsTest, DataTypesAndParametersAreThoseOfTheTensor) {
  Request request = InferRequestFor({1});
  request.mutable_inputs(0)->set_datatype("INT64");
  ExpectRefused(request, "inputs 'seed': datatype 'INT64' is not UINT64");
  request = InferRequestFor({1});
  auto& parameters = *request.mutable_inputs(0)->mutable_parameters();
  parameters["shared_memory_region"].set_string_param("mine");
  ExpectRefused(request,
                "inputs 'seed': parameters: 'shared_memory_region' is not "
                "known here; there are none");
  request = InferRequestFor({1});
  request.mutable_inputs(0)->set_name(std::string(100000, 'n'));
  ExpectRefused(request, "inputs: '" + std::string(64, 'n') +
                             "...' is not an input; there are seed and index");
}

// Requests with a byte changed here and there either are refused or mean so
// many images as their shape says.
TEST(InputTensorsTest, NoRequestIsTakenForMoreThanItHas) {
  std::mt19937 random(1);
  Request valid = InferRequestFor({1, 2, 3});
  AddRawInput<uint32_t>("index", "UINT32", {4, 5, 6}, &valid);
  Request typed = TypedRequestFor({1, 2, 3});
  int taken = 0;
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = (i % 2 == 0 ? valid : typed).SerializeAsString();
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0;
         --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    Request request;
    if (!request.ParseFromString(bytes)) continue;
    const auto noise = ReadNoise(request);
    if (!noise.ok()) {
      EXPECT_TRUE(absl::IsInvalidArgument(noise.status())) << noise.status();
      ++refused;
      continue;
    }
    ++taken;
    ASSERT_GE(noise->size(), 1u);
    ASSERT_LE(noise->size(), 64u);
    for (const auto& input : request.inputs()) {
      ASSERT_EQ(input.shape(0), static_cast<int64_t>(noise->size()));
    }
  }
  EXPECT_GT(taken, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace ddgan

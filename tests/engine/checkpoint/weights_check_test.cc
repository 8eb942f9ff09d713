#include "engine/checkpoint/weights_check.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class WeightsCheckTest : public ::testing::Test {
 protected:
  std::vector<TensorShape> PlannedShapes() const {
    std::vector<TensorShape> shapes;
    for (const ParameterPlan& parameter : plan_.parameters)
      shapes.push_back({parameter.name, parameter.shape});
    return shapes;
  }
  std::string ShapesRefusal(const std::vector<TensorShape>& shapes) const {
    return std::string(CheckTensorShapes(shapes, plan_).message());
  }

  const GeneratorPlan plan_ = PlanGenerator(TinyModelConfig());
  const std::string weights_ = TinyWeights(TinyModelConfig());
};

TEST_F(WeightsCheckTest, AcceptsThePlansTensorsInAnyOrder) {
  std::vector<TensorShape> shapes = PlannedShapes();
  EXPECT_TRUE(CheckTensorShapes(shapes, plan_).ok());
  std::swap(shapes.front(), shapes.back());
  EXPECT_TRUE(CheckTensorShapes(shapes, plan_).ok());
  EXPECT_TRUE(CheckWeights(ParseSafetensors(weights_).value(), plan_).ok());
}

TEST_F(WeightsCheckTest, NamesWhatIsMissingExtraOrOfAnotherShape) {
  std::vector<TensorShape> shapes = PlannedShapes();
  shapes[0].shape = {4, 4};
  shapes[1].name = "stranger";
  EXPECT_THAT(ShapesRefusal(shapes),
              AllOf(HasSubstr("all_modules.0.weight has shape [4, 4], the "
                              "config wants [16, 4]"),
                    HasSubstr("all_modules.0.bias is missing"),
                    HasSubstr("\"stranger\" is not part of this generator")));
}

TEST_F(WeightsCheckTest, NamesTheFirstFewOfMany) {
  EXPECT_THAT(
      ShapesRefusal({}),
      AllOf(HasSubstr("all_modules.0.weight is missing"), HasSubstr("more"),
            ::testing::Not(HasSubstr("z_transform"))));
}

TEST_F(WeightsCheckTest, DtypeMustBeAFloatOfAtMost32Bits) {
  SafetensorsView view = ParseSafetensors(weights_).value();
  view.tensors[2].dtype = DType::kFloat64;
  const absl::Status status = CheckWeights(view, plan_);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(view.tensors[2].name), HasSubstr("F64")));
}

TEST_F(WeightsCheckTest, InfinityAndNanAreRefusedByTheTensorsName) {
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    SafetensorsView view = ParseSafetensors(weights_).value();
    std::string data(view.tensors[3].data);
    std::memcpy(data.data() + data.size() - sizeof(bad), &bad, sizeof(bad));
    view.tensors[3].data = data;
    EXPECT_THAT(std::string(CheckWeights(view, plan_).message()),
                AllOf(HasSubstr(view.tensors[3].name), HasSubstr("NaN")));
  }
}

TEST_F(WeightsCheckTest, HalfPrecisionIsTakenUnlessItIsNotFinite) {
  SafetensorsView view = ParseSafetensors(weights_).value();
  TensorView& tensor = view.tensors[0];
  std::string data(tensor.data.size() / 2, '\0');
  tensor.dtype = DType::kFloat16;
  tensor.data = data;
  EXPECT_TRUE(CheckWeights(view, plan_).ok());
  data[0] = '\x00';
  data[1] = '\x7c';  // Infinity.
  tensor.data = data;
  EXPECT_EQ(CheckWeights(view, plan_).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(WeightsCheckTest, IsGivenUpWithinALargeTensor) {
  SafetensorsView view = ParseSafetensors(weights_).value();
  const std::string data(3 * kStopCheckBytes, '\0');
  view.tensors[0].data = data;
  int asked = 0;
  EXPECT_EQ(CheckWeights(view, plan_, [&] { return ++asked == 3; }).code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace ddgan

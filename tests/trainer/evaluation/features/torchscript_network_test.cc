#include "trainer/evaluation/features/torchscript_network.h"

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// The mean of each channel, and their softmax for classes.
constexpr char kMeans[] = R"(
def forward(self, x, return_features: bool = False):
  means = x.type_as(self.one).mean([2, 3])
  if return_features:
    return means
  return means.softmax(1)
)";

class TorchScriptNetworkTest : public ::testing::Test {
 protected:
  // Writes a network whose forward is `source`; returns its digest.
  std::string Write(const std::string& source) {
    torch::jit::Module module("network");
    module.register_buffer("one", at::ones({1}));
    module.define(source);
    module.save(path_.string());
    return Sha256Hex(ReadBytes(path_));
  }

  absl::StatusOr<std::unique_ptr<FeatureNetwork>> Open(
      const std::string& digest) {
    FeatureNetworkOptions options;
    options.name = path_.string();
    options.digest = digest;
    return OpenFeatureNetwork(options);
  }

  // What is wrong with a network whose forward is `source`.
  std::string Fault(const std::string& source) {
    const absl::Status status = Open(Write(source)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path_.string()), Not(HasSubstr("\n"))));
    return std::string(status.message());
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "network.pt";
};

TEST_F(TorchScriptNetworkTest, GivesFeaturesAndClassesByTheConvention) {
  const std::string digest = Write(kMeans);
  const auto network = Open(digest);
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ((*network)->name(), path_.string());
  EXPECT_EQ((*network)->digest(), digest);
  EXPECT_FALSE((*network)->is_inception());
  EXPECT_EQ((*network)->feature_count(), 3);
  EXPECT_EQ((*network)->class_count(), 3);
  // Two pictures of 2x2, then a gray one.
  const std::vector<uint8_t> pixels = {10, 20, 30, 10, 20, 30, 10, 20,
                                       30, 10, 20, 34, 0,  0,  0,  4,
                                       0,  0,  0,  0,  0,  0,  0,  0};
  const auto rows = (*network)->Run(pixels, {3, 2, 2});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(rows->features, ElementsAre(10, 20, 31, 1, 0, 0));
  ASSERT_EQ(rows->probabilities.size(), 6u);
  EXPECT_NEAR(rows->probabilities[3], std::exp(1) / (std::exp(1) + 2), 1e-6);
  const auto gray = (*network)->Run({7, 7, 7, 9}, {1, 2, 2});
  ASSERT_TRUE(gray.ok()) << gray.status();
  EXPECT_THAT(gray->features, ElementsAre(7.5, 7.5, 7.5));
}

TEST_F(TorchScriptNetworkTest, RunsNoProgramThatNobodyVouchedFor) {
  std::string digest = Write(kMeans);
  const absl::Status unknown = Open("").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(unknown.message()),
              AllOf(HasSubstr(path_.string()), HasSubstr("is a program"),
                    HasSubstr("--features_digest"), HasSubstr("sha256sum"),
                    Not(HasSubstr(digest))));
  EXPECT_EQ(Open(std::string(64, 'a')).status().code(),
            absl::StatusCode::kFailedPrecondition);
  // One that would fail if anything in it were looked at.
  WriteBytes(path_, "no program at all");
  EXPECT_EQ(Open("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Open(digest).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(TorchScriptNetworkTest, SaysWhatIsNotByTheConvention) {
  EXPECT_EQ(Fault("def forward(self, x):\n  return x\n"),
            path_.string() +
                ": no network by the convention of StyleGAN's metrics: its "
                "forward has no argument return_features");
  EXPECT_THAT(Fault("def other(self, x):\n  return x\n"),
              HasSubstr("it has no forward"));
  EXPECT_THAT(Fault("def forward(self, x, return_features: bool = False):\n"
                    "  return 3\n"),
              HasSubstr("its forward gives no tensor"));
  EXPECT_THAT(Fault("def forward(self, x, return_features: bool = False):\n"
                    "  return self.one.sum()\n"),
              HasSubstr("its forward gives no row of 1 to 1048576 values"));
  EXPECT_THAT(Fault("def forward(self, x, return_features: bool = False):\n"
                    "  return x.view([1, 7])\n"),
              HasSubstr("shape '[1, 7]' is invalid"));
  EXPECT_THAT(Fault("def forward(self, x, y, return_features: bool = False):\n"
                    "  return x\n"),
              HasSubstr("missing value for argument 'y'"));
}

TEST_F(TorchScriptNetworkTest, WhatIsNoProgramIsRefusedByName) {
  Write(kMeans);
  const std::string whole = ReadBytes(path_);
  for (const std::string& bytes :
       {std::string(), std::string("no program"), std::string(100000, 'x'),
        whole.substr(0, whole.size() / 2), whole.substr(whole.size() / 2)}) {
    WriteBytes(path_, bytes);
    const absl::Status status = Open(Sha256Hex(bytes)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path_.string() + ": no network"),
                      Not(HasSubstr("\n"))));
  }
}

TEST_F(TorchScriptNetworkTest, AnOutputThatIsNoDistributionIsNoClasses) {
  const auto network =
      Open(Write("def forward(self, x, return_features: bool = False):\n"
                 "  return x.type_as(self.one).mean([2, 3])\n"));
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ((*network)->feature_count(), 3);
  EXPECT_EQ((*network)->class_count(), 0);
  const auto rows = (*network)->Run({1, 2, 3}, {3, 1, 1});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(rows->features, ElementsAre(1, 2, 3));
  EXPECT_TRUE(rows->probabilities.empty());
}

TEST_F(TorchScriptNetworkTest, AsksForProbabilitiesWithoutBiasWhereItCan) {
  const auto network = Open(Write(R"(
def forward(self, x, return_features: bool = False, no_output_bias: bool = False):
  means = x.type_as(self.one).mean([2, 3])
  if return_features:
    return means
  if no_output_bias:
    return (means * 0).softmax(1)
  return means.softmax(1)
)"));
  ASSERT_TRUE(network.ok()) << network.status();
  const auto rows = (*network)->Run({1, 2, 3}, {3, 1, 1});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(rows->features, ElementsAre(1, 2, 3));
  for (const float p : rows->probabilities) EXPECT_NEAR(p, 1 / 3.0, 1e-6);
}

TEST_F(TorchScriptNetworkTest, AnOutputThatCannotBeAFeatureIsAnError) {
  const auto message = [&](const std::string& features) {
    const auto network = Open(Write(absl::StrCat(
        "def forward(self, x, return_features: bool = False):\n  return ",
        features, "\n")));
    EXPECT_TRUE(network.ok()) << network.status();
    const absl::Status status = (*network)->Run({0, 0, 0}, {3, 1, 1}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
    return std::string(status.message());
  };
  // Of 0 / 0, which the gray picture that it is tried with does not have.
  EXPECT_EQ(message("x.type_as(self.one).mean([2, 3]) / "
                    "x.type_as(self.one).mean([2, 3])"),
            path_.string() + ": its output for picture 0 is not finite");
  // As many features as pixels.
  EXPECT_EQ(message("x.flatten(1)"),
            path_.string() +
                ": 3 features and 0 classes of picture 0, must be 12288 and 0");
}

TEST_F(TorchScriptNetworkTest, AProgramThatWorksInPlaceChangesNoPicture) {
  const auto network =
      Open(Write("def forward(self, x, return_features: bool = False):\n"
                 "  x.add_(1)\n"
                 "  return x.type_as(self.one).mean([2, 3])\n"));
  ASSERT_TRUE(network.ok()) << network.status();
  const std::vector<uint8_t> pixels = {1, 2, 3};
  for (int i = 0; i < 2; ++i) {
    const auto rows = (*network)->Run(pixels, {3, 1, 1});
    ASSERT_TRUE(rows.ok()) << rows.status();
    EXPECT_THAT(rows->features, ElementsAre(2, 3, 4));
  }
  EXPECT_THAT(pixels, ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace ddgan

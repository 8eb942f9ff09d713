// The ddgan-evaluate binary as a person runs it, on a handful of digits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/dataset/idx_file.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Result {
  int exit_code = -1;
  std::string output;
  std::string errors;
};

std::string LabelFile(int count) {
  std::string bytes =
      BigEndian32(0x801) + BigEndian32(static_cast<uint32_t>(count));
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(i % 10));
  return bytes;
}

class EvaluateTest : public ::testing::Test {
 protected:
  EvaluateTest() {
    const std::filesystem::path data = folder_.path() / "data";
    std::filesystem::create_directories(data);
    WriteBytes(data / "train-images-idx3-ubyte", DigitFile(40));
    WriteBytes(data / "train-labels-idx1-ubyte", LabelFile(40));
    WriteBytes(data / "t10k-images-idx3-ubyte", DigitFile(20));
    WriteBytes(data / "t10k-labels-idx1-ubyte", LabelFile(20));
  }

  // Runs `ddgan-evaluate ARGUMENTS` in the test's folder.
  Result Run(const std::string& arguments) const {
    Result result;
    std::FILE* pipe = popen(
        absl::StrCat("cd '", folder_.path().string(),
                     "' && OMP_WAIT_POLICY=PASSIVE " DDGAN_EVALUATE_BINARY " ",
                     arguments, " 2> errors")
            .c_str(),
        "r");
    EXPECT_NE(pipe, nullptr);
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
      result.output.push_back(static_cast<char>(c));
    const int status = pclose(pipe);
    result.errors = ReadBytes(folder_.path() / "errors");
    EXPECT_TRUE(WIFEXITED(status)) << result.errors;
    result.exit_code = WEXITSTATUS(status);
    return result;
  }

  const TemporaryFolder folder_;
};

TEST_F(EvaluateTest, EvaluatesTheBundledModelAndKeepsTheClassifier) {
  const std::string command =
      "mnist --model=" DDGAN_BUNDLED_MODEL
      " --data=data --classifier=new/digits.safetensors --samples=5 --seed=7";
  Result result = Run(command + " --json");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("training the classifier"));
  const nlohmann::json json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json.at("evaluation"), "mnist");
  EXPECT_EQ(json.at("model"), "mnist");
  EXPECT_EQ(json.at("version"), 12060);
  EXPECT_EQ(json.at("samples"), 5);
  EXPECT_EQ(json.at("modes"), 10);
  EXPECT_GE(json.at("modes_covered"), 1);
  EXPECT_GT(json.at("images_per_second"), 0);

  // The classifier's file is there now, and the figures are the same.
  result = Run(command + " --json --threads=1");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.errors, IsEmpty());
  const nlohmann::json again = nlohmann::json::parse(result.output);
  for (const char* key : {"modes_covered", "kl", "mean_confidence",
                          "digit_share", "classifier_accuracy"}) {
    EXPECT_EQ(again.at(key), json.at(key)) << key;
  }
}

TEST_F(EvaluateTest, RealDigitsNeedNoModel) {
  const Result result =
      Run("stacked_mnist --real --data=data --classifier=c --samples=50");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("real ones of stacked_mnist"),
                    HasSubstr(" of 1000"), Not(HasSubstr("images/s"))));
}

TEST_F(EvaluateTest, SaysInOneLineWhatIsWrong) {
  const auto expect_error = [&](const std::string& arguments, int exit_code,
                                const std::string& part) {
    const Result result = Run(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << arguments;
    EXPECT_THAT(result.output, IsEmpty());
    EXPECT_THAT(result.errors, AllOf(testing::StartsWith("ddgan-evaluate: "),
                                     HasSubstr(part)));
    EXPECT_EQ(result.errors.find('\n'), result.errors.size() - 1) << arguments;
  };
  expect_error("cifar10 --real --data=data --classifier=c", 2,
               "must be mnist or stacked_mnist");
  expect_error("mnist --real --data=data", 2, "--classifier is required");
  expect_error("mnist --real --data=nowhere --classifier=c", 1,
               "nowhere: holds neither train-images-idx3-ubyte");
  expect_error("stacked_mnist --model=" DDGAN_BUNDLED_MODEL
               " --data=data --classifier=c",
               1, "whose images are 1x32x32; stacked_mnist is of 3x32x32");
  expect_error("mnist --model=" DDGAN_BUNDLED_MODEL
               "/.. --data=data --classifier=c",
               1, "must end in MODEL/VERSION");
  WriteBytes(folder_.path() / "torn", "torn");
  expect_error("mnist --real --data=data --classifier=torn", 1,
               "torn: not a whole digit classifier");
  // The images are there, their labels are not.
  std::filesystem::remove(folder_.path() / "data/t10k-labels-idx1-ubyte");
  expect_error("mnist --real --data=data --classifier=c", 1,
               "t10k-labels-idx1-ubyte");
}

TEST_F(EvaluateTest, PrintsItsHelp) {
  const Result result = Run("--help");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("--classifier=FILE"));
  EXPECT_THAT(result.errors, IsEmpty());
}

}  // namespace
}  // namespace ddgan

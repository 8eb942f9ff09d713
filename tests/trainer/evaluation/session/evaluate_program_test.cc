#include "trainer/evaluation/session/evaluate_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace ddgan {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(EvaluateProgramTest, ACommandHasItsSummaryAndKnowsTheOthers) {
  const CommandSummary commands[] = {{"paint", "make one"},
                                     {"hang", "show it"}};
  const Program program =
      EvaluateProgram({{}, {}, commands}, "hang", {"[flags]"}, "");
  EXPECT_EQ(program.summary, "show it");
  EXPECT_THAT(program.sections, testing::ElementsAre("paint", "hang"));
}

std::string Wrong(const std::string& model, const std::string& images,
                  const std::string& server, const std::string& sampler) {
  PictureOptions options;
  options.model = model;
  options.images = images;
  options.server = server;
  options.sampler = sampler;
  return std::string(CheckPictureOptions(options).message());
}

TEST(EvaluateProgramTest, PicturesComeFromOnePlace) {
  EXPECT_EQ(Wrong("r/m/1", "", "", ""), "");
  EXPECT_EQ(Wrong("", "folder", "", ""), "");
  EXPECT_EQ(Wrong("m", "", "localhost:1", ""), "");
  EXPECT_EQ(Wrong("r/m/1", "", "", "ddim:5"), "");
  EXPECT_THAT(Wrong("", "", "", ""), HasSubstr("--model is required"));
  EXPECT_THAT(Wrong("", "", "localhost:1", ""),
              HasSubstr("--server needs --model"));
  EXPECT_THAT(Wrong("r/m/1", "folder", "", ""),
              HasSubstr("--images excludes --model"));
  EXPECT_THAT(Wrong("", "folder", "localhost:1", ""),
              HasSubstr("--images excludes --server"));
  EXPECT_THAT(Wrong("", "folder", "", "pc"),
              HasSubstr("--sampler goes only with"));
  EXPECT_THAT(Wrong("m", "", "localhost:1", "pc"),
              HasSubstr("not with --server"));
}

TEST(EvaluateProgramTest, CacheLiesWhereTheEnvironmentSays) {
  Environment environment;
  EXPECT_THAT(std::string(DefaultCacheFolder(environment).status().message()),
              HasSubstr("--cache is required"));
  environment["HOME"] = "/home/somebody";
  EXPECT_EQ(DefaultCacheFolder(environment).value(),
            "/home/somebody/.cache/ddgan/evaluate");
  environment["XDG_CACHE_HOME"] = "/caches";
  EXPECT_EQ(DefaultCacheFolder(environment).value(), "/caches/ddgan/evaluate");
}

TEST(EvaluateProgramTest, AChoiceOfDataIsTheSameInWhateverOrder) {
  DataChoice choice;
  EXPECT_EQ(DataChoiceText(choice), "");
  choice.classes = "ship,horse";
  EXPECT_EQ(DataChoiceText(choice), "classes horse,ship");
  choice.dataset_limit = 100;
  choice.convert = Conversion::kToRgb;
  EXPECT_EQ(DataChoiceText(choice),
            "classes horse,ship; the first 100; gray and alpha as RGB");
  choice.data_seed = 1;
  EXPECT_THAT(DataChoiceText(choice),
              EndsWith("gray and alpha as RGB; seed 1"));
}

TEST(EvaluateProgramTest, DigitsHaveTheirOwnFeatures) {
  EXPECT_EQ(DefaultFeatures("mnist"), "digits");
  EXPECT_EQ(DefaultFeatures("stacked_mnist"), "digits");
  EXPECT_EQ(DefaultFeatures("cifar10"), "efficientnet-lite0");
}

}  // namespace
}  // namespace ddgan

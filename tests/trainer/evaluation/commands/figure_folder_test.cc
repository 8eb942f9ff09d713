#include "trainer/evaluation/commands/figure_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/fakes/temporary_folder.h"
#include "trainer/evaluation/commands/figure_data_command.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(NpyTest, HeaderIsNumPysAndDataIsAligned) {
  const std::vector<uint8_t> values = {1, 2, 3, 4, 5, 6};
  const std::string file = NpyOfBytes(values, {2, 3});
  EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t length =
      static_cast<uint8_t>(file[8]) + 256 * static_cast<uint8_t>(file[9]);
  EXPECT_EQ((10 + length) % 64, 0u);
  const std::string header = file.substr(10, length);
  EXPECT_THAT(header, HasSubstr("{'descr': '|u1', 'fortran_order': False, "
                                "'shape': (2, 3), }"));
  EXPECT_EQ(header.back(), '\n');
  EXPECT_EQ(file.substr(10 + length), std::string("\1\2\3\4\5\6"));

  const std::string floats = NpyOfFloats(std::vector<float>{0.5f}, {1});
  EXPECT_THAT(floats,
              HasSubstr("'<f4', 'fortran_order': False, 'shape': (1,)"));
  float value = 0;
  std::memcpy(&value, floats.data() + floats.size() - sizeof(float),
              sizeof(float));
  EXPECT_EQ(value, 0.5f);
}

TEST(FigureFolderTest, FigureJsonDescribesTheFilesAndComesLast) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "new" / "figure";
  const MeasuredVersion version = {
      {"digits", 42, std::string(64, 'a')}, "ancestral", 4, "mnist"};
  for (int again = 0; again < 2; ++again) {
    auto figure = FigureFolder::Create(path, "grid", version, 7);
    ASSERT_TRUE(figure.ok()) << figure.status();
    EXPECT_FALSE(std::filesystem::exists(path / "figure.json"));
    const std::vector<uint8_t> pictures(2 * 4 * 4);
    ASSERT_TRUE(figure->Add("samples", pictures, {2, 4, 4, 1}).ok());
    const std::vector<float> distances = {1, 2};
    ASSERT_TRUE(figure->Add("distances", distances, {2}).ok());
    figure->json()["columns"] = 8;
    ASSERT_TRUE(figure->Finish("What it shows.").ok());
  }
  const auto json = nlohmann::json::parse(ReadBytes(path / "figure.json"));
  EXPECT_EQ(json.at("kind"), "grid");
  EXPECT_EQ(json.at("files").at("samples").at("file"), "samples.npy");
  EXPECT_EQ(json.at("files").at("samples").at("dtype"), "uint8");
  EXPECT_THAT(json.at("files").at("samples").at("shape"),
              ElementsAre(2, 4, 4, 1));
  EXPECT_EQ(json.at("files").at("distances").at("dtype"), "float32");
  EXPECT_EQ(json.at("model").at("version"), 42);
  EXPECT_EQ(json.at("sampler"), "ancestral");
  EXPECT_EQ(json.at("evaluations"), 4);
  EXPECT_EQ(json.at("seed"), 7);
  EXPECT_EQ(json.at("columns"), 8);
  EXPECT_EQ(json.at("caption"), "What it shows.");
  EXPECT_TRUE(std::filesystem::exists(path / "samples.npy"));
}

TEST(FigureFolderTest, SaysThatTheFolderCannotBeMade) {
  const TemporaryFolder folder;
  WriteBytes(folder.path() / "file", "");
  const auto figure =
      FigureFolder::Create(folder.path() / "file" / "x", "grid", {}, 0);
  EXPECT_FALSE(figure.ok());
  EXPECT_THAT(std::string(figure.status().message()),
              HasSubstr(folder.path().string()));
}

std::string Error(const std::vector<std::string>& arguments) {
  return std::string(
      ParseFigureData({arguments, Environment()}).status().message());
}

TEST(FigureDataOptionsTest, SaysWhatIsMissing) {
  EXPECT_EQ(Error({"grid", "--model=r/m/1", "--out=o"}), "");
  EXPECT_EQ(Error({"strip", "--model=r/m/1", "--data=d", "--out=o"}), "");
  EXPECT_THAT(Error({"strip", "--model=r/m/1", "--out=o"}),
              HasSubstr("strip needs --data"));
  EXPECT_THAT(Error({"density", "--model=r/m/1", "--out=o"}),
              HasSubstr("which figure is 'density', must be strip or grid"));
  EXPECT_THAT(Error({"grid", "--out=o"}), HasSubstr("--model is required"));
  EXPECT_THAT(Error({"grid", "--model=r/m/1"}), HasSubstr("--out is required"));
}

}  // namespace
}  // namespace ddgan

// The ddgan-evaluate binary as a person runs it, on a handful of digits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/imaging/png_decoder.h"
#include "engine/imaging/png_encoder.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/tiny_checkpoint.h"
#include "tests/trainer/dataset/idx_file.h"
#include "tests/trainer/dataset/jpeg_file.h"
#include "trainer/run/checkpoint_publisher.h"

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

// A digit of the data as a PNG file.
std::string DigitPng(int image) {
  std::vector<uint8_t> pixels(32 * 32);
  for (int y = 0; y < 28; ++y) {
    for (int x = 0; x < 28; ++x) {
      pixels[static_cast<size_t>((y + 2) * 32 + x + 2)] =
          DigitPixel(image, y, x);
    }
  }
  return EncodePng(pixels, {1, 32, 32}).value();
}

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
    WriteBytes(data / "t10k-images-idx3-ubyte", DigitFile(100));
    WriteBytes(data / "t10k-labels-idx1-ubyte", LabelFile(100));
  }

  // A version of 8x8 pictures, whose folder is returned.
  std::string PublishTinyVersion() const {
    const auto published =
        PublishCheckpoint(folder_.path() / "root", 1, TinyCheckpointConfig(),
                          TinyRandomWeights(TinyModelConfig()));
    EXPECT_TRUE(published.ok()) << published.status();
    return "root/tiny/1";
  }

  nlohmann::json RunJson(const std::string& arguments) const {
    const Result result = Run(arguments + " --json");
    EXPECT_EQ(result.exit_code, 0) << arguments << ": " << result.errors;
    return nlohmann::json::parse(result.output, nullptr, false);
  }

  std::vector<std::filesystem::path> FeatureFiles() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_.path() / "cache")) {
      if (entry.path().extension() == ".features") {
        files.push_back(entry.path());
      }
    }
    return files;
  }

  // Runs `ddgan-evaluate ARGUMENTS` in the test's folder.
  Result Run(const std::string& arguments) const {
    Result result;
    std::FILE* pipe = popen(
        absl::StrCat("cd '", folder_.path().string(),
                     "' && " DDGAN_EVALUATE_BINARY " ", arguments, " 2> errors")
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
      "modes mnist --model=" DDGAN_BUNDLED_MODEL
      " --data=data --classifier=new/digits.safetensors --samples=5 --seed=7";
  Result result = Run(command + " --json");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("training the classifier"));
  const nlohmann::json json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json.at("evaluation"), "modes");
  EXPECT_EQ(json.at("problem"), "mnist");
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
      Run("modes stacked_mnist --real --data=data --classifier=c --samples=50");
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
  expect_error("", 2, "which command?");
  expect_error("mnist", 2, "there is no command 'mnist'");
  expect_error("modes cifar10 --real --data=data", 2,
               "must be mnist, stacked_mnist or 25_gaussians");
  expect_error("modes mnist --real --data=nowhere --classifier=c", 1,
               "nowhere: holds neither train-images-idx3-ubyte");
  expect_error("modes stacked_mnist --model=" DDGAN_BUNDLED_MODEL
               " --data=data --classifier=c",
               1, "whose images are 1x32x32; stacked_mnist is of 3x32x32");
  expect_error("modes mnist --model=" DDGAN_BUNDLED_MODEL
               "/.. --data=data --classifier=c",
               1, "must end in MODEL/VERSION");
  WriteBytes(folder_.path() / "torn", "torn");
  expect_error("modes mnist --real --data=data --classifier=torn", 1,
               "torn: not a whole digit classifier");

  const std::string quality = "quality --model=" DDGAN_BUNDLED_MODEL
                              " --data=data --cache=cache --samples=10 ";
  expect_error("quality --model=" + PublishTinyVersion() +
                   " --data=data --dataset=mnist --cache=cache",
               1, "the model's are 8x8");
  expect_error(quality + "--dataset=stacked_mnist", 1, "3 channels");
  expect_error(quality + "--data_samples=3 --k=3", 1,
               "--data_samples is 3, must be at least 4");
  expect_error(quality + "--k=50", 1,
               "--data is of 40 pictures, must be of at least 51");
  expect_error(quality + "--dataset_limit=3 --k=3", 1,
               "--data is of 3 pictures (the first 3), must be of at least 4");
  expect_error(quality + "--convert=rgb", 1,
               "convert = rgb, but num_channels = 1");
  expect_error(quality + "--classes=7", 1, "only image_folder has classes");
  expect_error(quality + "--sampler=ddim:9", 1, "ddim:K with K in [1, 4]");
  WriteBytes(folder_.path() / "network.pt", "a program");
  expect_error(quality + "--features=network.pt", 1, "digest");
  expect_error(quality + "--features=inception", 1, "inception");
  // The images are there, their labels are not.
  std::filesystem::remove(folder_.path() / "data/t10k-labels-idx1-ubyte");
  expect_error("modes mnist --real --data=data --classifier=c", 1,
               "t10k-labels-idx1-ubyte");
}

TEST_F(EvaluateTest, PrintsItsHelp) {
  Result result = Run("--help");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("usage: ddgan-evaluate COMMAND"));
  for (const absl::string_view line : absl::StrSplit(result.output, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
  EXPECT_THAT(result.errors, IsEmpty());
  result = Run("modes --help");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("--classifier=FILE"));
  EXPECT_THAT(Run("--version").output, testing::StartsWith("ddgan-evaluate "));
}

TEST_F(EvaluateTest, ThreadsOfOpenMpSleepUnlessTheUserWantsThemToSpin) {
  // The library tells it when it is loaded: of two starts, the last counts.
  const auto spins = [&] {
    const std::string errors = Run("--version").errors;
    const size_t found = errors.rfind("GOMP_SPINCOUNT = ");
    return found == std::string::npos ? errors : errors.substr(found, 20);
  };
  unsetenv("OMP_WAIT_POLICY");
  setenv("OMP_DISPLAY_ENV", "verbose", 1);
  EXPECT_THAT(spins(), HasSubstr("= '0'"));
  setenv("OMP_WAIT_POLICY", "ACTIVE", 1);
  EXPECT_THAT(spins(), AllOf(HasSubstr("= '"), Not(HasSubstr("= '0'"))));
  unsetenv("OMP_WAIT_POLICY");
  unsetenv("OMP_DISPLAY_ENV");
}

// The environment and a file are for all commands: what is there for one must
// not stop another.
TEST_F(EvaluateTest, OptionsOfOneCommandAreKnownToAll) {
  const std::string grid = "figure_data grid --model=r/m/1 --out=o";
  const auto exit_code_with = [&](const char* variable) {
    setenv(variable, "1", 1);
    const Result result = Run(grid);
    unsetenv(variable);
    EXPECT_EQ(absl::StrContains(result.errors, "unknown environment variable"),
              result.exit_code == 2)
        << result.errors;
    return result.exit_code;
  };
  for (const char* flag :
       {"SPLITS", "REAL", "SHOWN", "REPEATS", "THROUGH", "PICTURE"}) {
    EXPECT_EQ(exit_code_with(absl::StrCat("DDGAN_EVALUATE_", flag).c_str()), 1)
        << flag;
  }
  EXPECT_EQ(exit_code_with("DDGAN_EVALUATE_SMAPLES"), 2);
  for (const char* command :
       {"quality", "modes", "nearest", "speed", "trilemma", "figure_data"}) {
    WriteBytes(folder_.path() / "options.toml",
               absl::StrCat("[", command, "]\nseed = 1\n"));
    EXPECT_EQ(Run(grid + " --config_file=options.toml").exit_code, 1)
        << command;
  }
}

TEST_F(EvaluateTest, QualityIsTheSameWithFeaturesFromTheCache) {
  const std::string command =
      "quality --model=" DDGAN_BUNDLED_MODEL
      " --data=data --cache=cache --samples=30 --splits=2 --json";
  const Result first = Run(command + " --threads=1");
  ASSERT_EQ(first.exit_code, 0) << first.errors;
  EXPECT_THAT(first.errors, HasSubstr("training the classifier"));
  const nlohmann::json json = nlohmann::json::parse(first.output);
  EXPECT_EQ(json.at("version"), 12060);
  EXPECT_EQ(json.at("evaluations"), 4);
  EXPECT_EQ(json.at("samples"), 30);
  EXPECT_EQ(json.at("data_samples"), 40);
  EXPECT_EQ(json.at("fd_name"), "FD-digits");
  EXPECT_GT(json.at("fd"), 0);
  EXPECT_GE(json.at("is"), 1);
  EXPECT_EQ(json.at("is_splits"), 2);
  EXPECT_EQ(json.at("constant"), false);
  EXPECT_EQ(FeatureFiles().size(), 2u);

  const Result second = Run(command + " --threads=1");
  EXPECT_EQ(second.output, first.output);
  EXPECT_THAT(second.errors, Not(HasSubstr("training")));
  // Threads add up in another order.
  const nlohmann::json threads =
      nlohmann::json::parse(Run(command + " --threads=2").output);
  EXPECT_NEAR(threads.at("fd").get<double>(), json.at("fd").get<double>(),
              1e-6 * json.at("fd").get<double>());
  // Nothing is computed of what is there; JPEG is another picture.
  EXPECT_EQ(FeatureFiles().size(), 2u);
  const nlohmann::json jpeg =
      nlohmann::json::parse(Run(command + " --through=jpeg75").output);
  EXPECT_NE(jpeg.at("fd"), json.at("fd"));
  EXPECT_EQ(FeatureFiles().size(), 3u);
}

TEST_F(EvaluateTest, RealPicturesAreNearerToThemselvesThanAModelsAre) {
  // The data set as somebody else's pictures.
  const std::filesystem::path images = folder_.path() / "images";
  std::filesystem::create_directory(images);
  for (int image = 0; image < 40; ++image) {
    WriteBytes(images / absl::StrCat(image, ".png"), DigitPng(image));
  }
  const std::string rest = " --data=data --dataset=mnist --cache=cache";
  const nlohmann::json real = RunJson("quality --images=images" + rest);
  EXPECT_EQ(real.at("samples"), 40);
  EXPECT_TRUE(real.at("model").is_null());
  EXPECT_NEAR(real.at("fd").get<double>(), 0, 1e-3);
  EXPECT_EQ(real.at("precision"), 1);
  EXPECT_EQ(real.at("recall"), 1);
  EXPECT_EQ(real.at("coverage"), 1);
  const nlohmann::json model =
      RunJson("quality --model=" DDGAN_BUNDLED_MODEL " --samples=40" + rest);
  EXPECT_GT(model.at("fd"), real.at("fd"));
  EXPECT_LT(model.at("coverage"), 1);
}

TEST_F(EvaluateTest, AConstantModelIsSaidToBeConstant) {
  const std::filesystem::path images = folder_.path() / "images";
  std::filesystem::create_directory(images);
  for (int i = 0; i < 10; ++i) {
    WriteBytes(images / absl::StrCat(i, ".png"),
               EncodePng(Gradient(1, 32, 32).pixels, {1, 32, 32}).value());
  }
  const std::string command =
      "quality --images=images --data=data --dataset=mnist --cache=cache";
  const nlohmann::json json = RunJson(command);
  EXPECT_EQ(json.at("constant"), true);
  EXPECT_NEAR(json.at("is").get<double>(), 1, 1e-6);
  EXPECT_EQ(json.at("recall"), 0);
  EXPECT_THAT(Run(command).output, HasSubstr("the model is constant."));
}

TEST_F(EvaluateTest, WhatATornCacheHoldsIsComputedAnewOrReported) {
  const std::string command = "quality --model=" DDGAN_BUNDLED_MODEL
                              " --data=data --cache=cache --samples=10";
  const Result whole = Run(command);
  ASSERT_EQ(whole.exit_code, 0) << whole.errors;
  // A line that was not written to its end does not count.
  for (const std::filesystem::path& file : FeatureFiles()) {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) - 5);
  }
  EXPECT_EQ(Run(command).output, whole.output);
  // Rows that are counted and missing are no accident.
  for (const std::filesystem::path& file : FeatureFiles()) {
    std::filesystem::resize_file(file.string() + ".matrix", 20);
  }
  const Result torn = Run(command);
  EXPECT_EQ(torn.exit_code, 1);
  EXPECT_THAT(torn.output, IsEmpty());
  EXPECT_THAT(torn.errors, AllOf(HasSubstr(".features"), HasSubstr("remove")));
}

TEST_F(EvaluateTest, FeaturesOfOtherPicturesAreRefused) {
  const std::string command = "quality --model=" DDGAN_BUNDLED_MODEL
                              " --data=data --cache=cache --samples=10";
  ASSERT_EQ(Run(command).exit_code, 0);
  const std::vector<std::filesystem::path> files = FeatureFiles();
  ASSERT_EQ(files.size(), 2u);
  for (const char* part : {"", ".matrix", ".probabilities"}) {
    std::filesystem::copy_file(
        files[0].string() + part, files[1].string() + part,
        std::filesystem::copy_options::overwrite_existing);
  }
  const Result result = Run(command);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, HasSubstr(files[1].filename().string()));
}

// Runs the program until a file of the cache, the second that it makes, has
// been written to `writes` times, and kills it.
void KillAfterWrites(const std::filesystem::path& folder,
                     const std::vector<std::string>& arguments, int writes) {
  std::filesystem::create_directory(folder / "cache");
  const int events = inotify_init1(IN_CLOEXEC);
  ASSERT_GE(events, 0);
  ASSERT_GE(inotify_add_watch(events, (folder / "cache").c_str(), IN_MODIFY),
            0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::vector<std::string> all = arguments;
    all.insert(all.begin(), DDGAN_EVALUATE_BINARY);
    std::vector<char*> argv;
    for (std::string& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (chdir(folder.c_str()) == 0) execv(DDGAN_EVALUATE_BINARY, argv.data());
    _exit(127);
  }
  std::map<std::string, int> seen;
  std::vector<std::string> order;
  alignas(inotify_event) char buffer[4096];
  while (order.size() < 2 || seen[order[1]] < writes) {
    const ssize_t size = read(events, buffer, sizeof(buffer));
    ASSERT_GT(size, 0);
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      const std::string name = event->len > 0 ? event->name : "";
      if (absl::EndsWith(name, ".features") && seen[name]++ == 0) {
        order.push_back(name);
      }
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it was done before it was killed";
  close(events);
}

TEST_F(EvaluateTest, GoesOnAfterAKillAndGivesTheFiguresOfAnUnbrokenRun) {
  // The classifier is there, so that the first files are those of features.
  ASSERT_EQ(Run("modes mnist --real --data=data --classifier=c --samples=10")
                .exit_code,
            0);
  const std::vector<std::string> arguments = {
      "quality",     "--model=" DDGAN_BUNDLED_MODEL,
      "--data=data", "--classifier=c",
      "--json",      "--samples=320"};
  std::vector<std::string> killed = arguments;
  killed.push_back("--cache=cache");
  KillAfterWrites(folder_.path(), killed, 3);
  std::string command;
  for (const std::string& argument : arguments) {
    absl::StrAppend(&command, argument, " ");
  }
  const Result resumed = Run(command + "--cache=cache");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.errors;
  EXPECT_THAT(resumed.errors, HasSubstr("mnist/12060: goes on after the "));
  const Result unbroken = Run(command + "--cache=other");
  EXPECT_THAT(unbroken.errors, Not(HasSubstr("goes on")));
  EXPECT_EQ(resumed.output, unbroken.output);
}

TEST_F(EvaluateTest, NearestWritesAGridAndItsNumbers) {
  const nlohmann::json json =
      RunJson("nearest --model=" DDGAN_BUNDLED_MODEL
              " --data=data --cache=cache --samples=6 --shown=4 --out=out");
  EXPECT_EQ(json.at("in_features").at("measured").at("pictures"), 6);
  EXPECT_EQ(json.at("in_features").at("test").at("pictures"), 100);
  // The test digits begin with all of the training digits.
  EXPECT_EQ(json.at("in_features").at("test").at("percent_1"), 0);
  EXPECT_TRUE(json.at("copies").is_null());
  const std::filesystem::path out = folder_.path() / "out";
  const auto grid = DecodePng(ReadBytes(out / "nearest.png"));
  ASSERT_TRUE(grid.ok()) << grid.status();
  EXPECT_EQ(grid->shape, (ImageShape{1, 4 * 34 + 2, 6 * 34 + 2}));
  const nlohmann::json figure =
      nlohmann::json::parse(ReadBytes(out / "figure.json"));
  EXPECT_EQ(figure.at("kind"), "nearest");
  EXPECT_EQ(figure.at("files").at("pixel_neighbours").at("shape"),
            nlohmann::json({4, 5, 32, 32, 1}));
  EXPECT_EQ(figure.at("feature_rows").size(), 4u);
}

TEST_F(EvaluateTest, NearestTellsCopiesByTestPicturesThatAreOthers) {
  const std::string digits = DigitFile(140);
  constexpr size_t kHeader = 16, kDigit = 28 * 28;
  WriteBytes(
      folder_.path() / "data" / "t10k-images-idx3-ubyte",
      DigitFile(100).substr(0, kHeader) + digits.substr(kHeader + 40 * kDigit));
  std::filesystem::create_directories(folder_.path() / "images");
  for (int image = 0; image < 20; ++image) {
    WriteBytes(folder_.path() / "images" / absl::StrCat(image, ".png"),
               DigitPng(image));
  }
  const nlohmann::json json = RunJson(
      "nearest --images=images --dataset=mnist"
      " --data=data --cache=cache --out=out");
  EXPECT_EQ(json.at("in_pixels").at("measured").at("pictures"), 20);
  EXPECT_EQ(json.at("in_pixels").at("suspicious_share"), 1);
  EXPECT_EQ(json.at("copies"), true);
}

TEST_F(EvaluateTest, NearestNeedsNoMoreRealPicturesThanItShows) {
  const std::string command =
      "nearest --model=" DDGAN_BUNDLED_MODEL
      " --data=data --cache=cache --samples=2 --shown=1 --out=out ";
  EXPECT_EQ(RunJson(command + "--data_samples=5").at("data_samples"), 5);
  EXPECT_THAT(Run(command + "--data_samples=4").errors,
              HasSubstr("--data_samples is 4, must be at least 5"));
  // The nearest hundredth of fewer test pictures says nothing.
  WriteBytes(folder_.path() / "data" / "t10k-images-idx3-ubyte", DigitFile(99));
  EXPECT_THAT(
      Run(command).errors,
      HasSubstr("--test_data is of 99 pictures, must be of at least 100"));
}

TEST_F(EvaluateTest, MeasuresAgainstWhatTheFlagsChooseOfASet) {
  // The classifier is there, so that folders of pictures can be measured by it.
  ASSERT_EQ(Run("modes mnist --real --data=data --classifier=c --samples=10")
                .exit_code,
            0);
  for (int image = 0; image < 20; ++image) {
    const std::filesystem::path folder =
        folder_.path() / "set" / (image < 12 ? "one" : "other");
    std::filesystem::create_directories(folder);
    WriteBytes(folder / absl::StrCat(image, ".png"), DigitPng(image));
  }
  const std::string set = " --data=set --dataset=image_folder";
  const std::string command = "quality --model=" DDGAN_BUNDLED_MODEL
                              " --features=digits --classifier=c --cache=cache "
                              "--samples=10" +
                              set;
  EXPECT_EQ(RunJson(command).at("data_samples"), 20);
  EXPECT_EQ(FeatureFiles().size(), 2u);
  const nlohmann::json one =
      RunJson(command + " --classes=one --dataset_limit=10");
  EXPECT_EQ(one.at("data_samples"), 10);
  EXPECT_EQ(one.at("data_choice"), "classes one; the first 10");
  // The features of all are not taken for those of some.
  EXPECT_EQ(FeatureFiles().size(), 3u);
  EXPECT_THAT(Run(command + " --classes=two").errors,
              HasSubstr("no picture lies in a folder called 'two', but in "
                        "'one', in 'other'"));
  EXPECT_THAT(Run("figure_data strip --model=" DDGAN_BUNDLED_MODEL + set +
                  " --classes=other --picture=8 --out=strip")
                  .errors,
              HasSubstr("--picture is 8, must be in [0, 7]"));
}

TEST_F(EvaluateTest, StripBeginsWithTheRealPicture) {
  const Result result = Run("figure_data strip --model=" DDGAN_BUNDLED_MODEL
                            " --data=data --picture=3 --out=strip");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output, "strip/figure.json\n");
  const std::filesystem::path strip = folder_.path() / "strip";
  const nlohmann::json figure =
      nlohmann::json::parse(ReadBytes(strip / "figure.json"));
  EXPECT_EQ(figure.at("levels"), nlohmann::json({0, 1, 2, 3, 4}));
  EXPECT_EQ(figure.at("files").at("chain").at("shape"),
            nlohmann::json({5, 32, 32, 1}));
  EXPECT_EQ(figure.at("files").at("samples").at("shape"),
            nlohmann::json({4, 3, 32, 32, 1}));
  const std::string chain = ReadBytes(strip / "chain.npy");
  const size_t x0 = chain.size() - 5 * 32 * 32;
  EXPECT_EQ(static_cast<uint8_t>(chain[x0 + 2 * 32 + 2]), DigitPixel(3, 0, 0));
  // Three latents make three pictures.
  const std::string samples = ReadBytes(strip / "samples.npy");
  const size_t last = samples.size() - 3 * 32 * 32;
  EXPECT_NE(samples.substr(last, 32 * 32),
            samples.substr(last + 32 * 32, 32 * 32));

  EXPECT_THAT(Run("figure_data strip --model=" DDGAN_BUNDLED_MODEL
                  " --data=data --picture=40 --out=strip")
                  .errors,
              HasSubstr("--picture is 40, must be in [0, 39]"));
}

TEST_F(EvaluateTest, GridHasTheFirstPicturesOfASeed) {
  const Result result = Run("figure_data grid --model=" DDGAN_BUNDLED_MODEL
                            " --samples=3 --seed=7 --out=grid");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const nlohmann::json figure =
      nlohmann::json::parse(ReadBytes(folder_.path() / "grid" / "figure.json"));
  EXPECT_EQ(figure.at("kind"), "grid");
  EXPECT_EQ(figure.at("seed"), 7);
  EXPECT_EQ(figure.at("files").at("samples").at("shape"),
            nlohmann::json({3, 32, 32, 1}));
}

TEST_F(EvaluateTest, SpeedIsOfTheWholeChainOrAnEstimate) {
  const nlohmann::json whole =
      RunJson("speed --model=" DDGAN_BUNDLED_MODEL
              " --batches=2,1 --repeats=2 --threads=1");
  EXPECT_EQ(whole.at("evaluations"), 4);
  EXPECT_EQ(whole.at("estimated"), false);
  ASSERT_EQ(whole.at("times").size(), 2u);
  EXPECT_GT(whole.at("times").at(0).at("seconds"), 0);
  const nlohmann::json estimate = RunJson(
      "speed --random_weights --config=mnist --num_timesteps=1000 "
      "--sampler=ddim:50 --timed_evaluations=1 --batches=1 --repeats=1 "
      "--warm_up=0");
  EXPECT_EQ(estimate.at("evaluations"), 50);
  EXPECT_EQ(estimate.at("timed_evaluations"), 1);
  EXPECT_EQ(estimate.at("estimated"), true);
  EXPECT_EQ(estimate.at("random_weights"), true);
}

TEST_F(EvaluateTest, TrilemmaHasARowForEachModelAndSampler) {
  const nlohmann::json json =
      RunJson("trilemma " DDGAN_BUNDLED_MODEL " " DDGAN_BUNDLED_MODEL
              ":ddim:2 --data=data --cache=cache --samples=12 --repeats=1 "
              "--timed_evaluations=1 --warm_up=0");
  ASSERT_EQ(json.at("rows").size(), 2u);
  EXPECT_EQ(json.at("rows").at(0).at("evaluations"), 4);
  EXPECT_EQ(json.at("rows").at(1).at("evaluations"), 2);
  EXPECT_EQ(json.at("rows").at(1).at("sampler"), "ddim:2");
  EXPECT_NE(json.at("rows").at(0).at("fd"), json.at("rows").at(1).at("fd"));
  EXPECT_FALSE(json.at("rows").at(0).at("kl").is_null());
}

TEST_F(EvaluateTest, TrilemmaFindsWhatIsWrongBeforeTheWork) {
  const std::string tiny = PublishTinyVersion();
  const auto expect_error = [&](const std::string& second,
                                const std::string& part) {
    const Result result = Run("trilemma " DDGAN_BUNDLED_MODEL " " + second +
                              " --data=data --cache=cache");
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.errors, HasSubstr(part));
    EXPECT_THAT(result.errors, Not(HasSubstr("model 1 of 2")));
  };
  expect_error(DDGAN_BUNDLED_MODEL ":dimm:2",
               "with the sampler 'dimm:2', which must be ancestral");
  expect_error(DDGAN_BUNDLED_MODEL ":ancestral",
               "with the sampler ancestral is given twice");
  expect_error(tiny, "makes pictures of 1x8x8, the first of 1x32x32");
}

TEST_F(EvaluateTest, FiguresRefuseWhatTheyDoNotUse) {
  for (const auto& [arguments, part] :
       {std::pair("grid --data=data", "--data is of strip"),
        std::pair("strip --data=data --columns=2", "--columns is of grid"),
        std::pair("strip --data=data --threads=2", "--threads is of grid")}) {
    const Result result =
        Run(absl::StrCat("figure_data ", arguments,
                         " --model=" DDGAN_BUNDLED_MODEL " --out=out"));
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.errors, HasSubstr(part));
  }
  WriteBytes(folder_.path() / "file", "");
  EXPECT_THAT(
      Run("figure_data grid --model=" DDGAN_BUNDLED_MODEL
          " --out=file/out --samples=2")
          .errors,
      AllOf(testing::StartsWith("ddgan-evaluate: "), HasSubstr("file/out")));
}

}  // namespace
}  // namespace ddgan

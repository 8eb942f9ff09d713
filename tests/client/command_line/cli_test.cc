// The ddgan binary as a person runs it, against a fake server.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_image_server.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::SizeIs;
using ::testing::StartsWith;

struct Result {
  int exit_code = -1;
  std::string output;  // Standard output and standard error together.
};

// What a watch tells after version 4 of "mnist" was pinned.
v1::WatchModelsResponse PinnedTo4(v1::ModelVersionState state,
                                  const std::string& reason = "") {
  v1::WatchModelsResponse event;
  event.mutable_model()->set_name("mnist");
  event.mutable_model()->set_pinned_version(4);
  v1::ModelVersion* version = event.mutable_model()->add_versions();
  version->set_version(4);
  version->set_state(state);
  version->set_reason(reason);
  event.mutable_model()->set_live_version(
      state == v1::MODEL_VERSION_STATE_LIVE ? 4 : 3);
  return event;
}

class CliTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Runs `ddgan ARGUMENTS` in the test's folder. DDGAN_SERVER is the fake's.
  Result Run(const std::string& arguments) const {
    return RunShell(absl::StrCat("DDGAN_SERVER=", server_.address(),
                                 " " DDGAN_BINARY " ", arguments));
  }

  Result RunShell(const std::string& command) const {
    Result result;
    std::FILE* pipe =
        popen(absl::StrCat("cd '", folder_.string(), "' && ", command, " 2>&1")
                  .c_str(),
              "r");
    EXPECT_NE(pipe, nullptr);
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
      result.output.push_back(static_cast<char>(c));
    }
    const int status = pclose(pipe);
    EXPECT_TRUE(WIFEXITED(status)) << result.output;
    result.exit_code = WEXITSTATUS(status);
    return result;
  }

  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    EXPECT_TRUE(file.is_open()) << name;
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  size_t FilesIn(const std::string& name) const {
    const std::filesystem::directory_iterator files(folder_ / name);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  FakeImageServer server_;
  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("cli_test_") +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(CliTest, WritesOneFilePerImageByIndexInCallsOf64) {
  const Result result =
      Run("generate --count=130 --seed=7 --first_index=3 --format=raw8 "
          "--out=images/");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, StartsWith("images/3.raw8 to images/132.raw8: "
                                        "130 x 4x4 gray\n"));
  EXPECT_EQ(FilesIn("images"), 130u);
  EXPECT_EQ(Read("images/132.raw8"), FakeImageServer::Pixels(1, 7, 132));
  EXPECT_THAT(server_.requests(), SizeIs(3));
}

TEST_F(CliTest, PrintsTheCommandThatMakesTheSameImagesAgain) {
  const Result first = Run("generate --count=2 --out='my image %d.png'");
  ASSERT_EQ(first.exit_code, 0) << first.output;
  EXPECT_THAT(first.output,
              AllOf(HasSubstr("model mnist version 3, seed 4242"),
                    HasSubstr("checkpoint digest " + std::string(64, 'd'))));
  const std::string bytes = Read("my image 1.png");
  std::filesystem::remove(folder_ / "my image 1.png");

  const size_t again = first.output.find("again: ddgan ");
  ASSERT_NE(again, std::string::npos);
  const std::string arguments = first.output.substr(again + 13);
  const Result second = RunShell(absl::StrCat(
      DDGAN_BINARY " ", arguments.substr(0, arguments.find('\n'))));
  EXPECT_EQ(second.exit_code, 0) << second.output;
  EXPECT_EQ(Read("my image 1.png"), bytes);
  const v1::GenerateRequest request = server_.requests().back();
  EXPECT_EQ(request.seed(), FakeImageServer::kDrawnSeed);
  EXPECT_EQ(request.version(), FakeImageServer::kVersion);
  EXPECT_EQ(request.count(), 2u);
}

TEST_F(CliTest, WritesAGridAsOnePng) {
  const Result result = Run("generate --count=100 --seed=7 --grid --out=g.png");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, StartsWith("g.png: 100 x 4x4 gray\n"));
  // 10 x 10 images of 4 pixels and gaps of 2; width and height in the header.
  EXPECT_THAT(Read("g.png"),
              StartsWith(std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
                                     "\0\0\0\x3e\0\0\0\x3e\x08\0",
                                     26)));
  EXPECT_EQ(server_.requests()[0].format(), v1::OUTPUT_FORMAT_RAW8);
}

TEST_F(CliTest, WritesOneImageOrAGridToStdout) {
  const Result file = Run("generate --seed=7 --out=x.png");
  EXPECT_EQ(file.exit_code, 0) << file.output;
  const Result image =
      Run("generate --seed=7 --out=- 2>report >y.png || exit 1; true");
  EXPECT_EQ(image.exit_code, 0) << Read("report");
  EXPECT_EQ(Read("y.png"), Read("x.png"));
  EXPECT_THAT(Read("report"), HasSubstr("again: ddgan generate "));
  const Result grid =
      Run("generate --count=4 --grid --out=- 2>report >g.png || exit 1; true");
  EXPECT_EQ(grid.exit_code, 0) << Read("report");
  EXPECT_THAT(Read("g.png"), StartsWith("\x89PNG"));
  EXPECT_EQ(Run("generate --out=- >/dev/full").exit_code, 1);
}

TEST_F(CliTest, OutputThatIsLostIsNoSuccess) {
  // Nothing of it ends the watch.
  server_.ScriptWatch({PinnedTo4(v1::MODEL_VERSION_STATE_LOADING)});
  for (const char* arguments :
       {"models", "models --json", "models unpin mnist", "models watch",
        "health", "health --json", "generate --help", "--help=man",
        "generate --out=x.png",
        "bench --duration=1ms --warmup=0s --concurrency=1 --json=-"}) {
    const Result result = RunShell(
        absl::StrCat("(DDGAN_SERVER=", server_.address(), " " DDGAN_BINARY " ",
                     arguments, " 2>&1 >/dev/full)"));
    EXPECT_EQ(result.exit_code, 1) << arguments << ": " << result.output;
    EXPECT_THAT(result.output,
                HasSubstr("ddgan: standard output did not take all\n"))
        << arguments;
  }
}

TEST_F(CliTest, RefusesANameThatSaysAnotherKindOfFileBeforeItAsks) {
  for (const char* flags : {"--out=x.jpg", "--grid --out=x.jpg"}) {
    const Result result = Run(absl::StrCat("generate ", flags));
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.output, HasSubstr("--out=x.jpg would hold PNG"));
  }
  EXPECT_THAT(server_.requests(), SizeIs(0));
}

TEST_F(CliTest, StreamsImagesIntoTheSameFiles) {
  const Result result =
      Run("generate --stream --count=130 --seed=7 --first_index=3 "
          "--format=raw8 --class=batch --out=images/");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, StartsWith("images/3.raw8 to images/132.raw8: "
                                        "130 x 4x4 gray\n"));
  EXPECT_THAT(result.output, HasSubstr("in the server: queue 6ms, steps 3s"));
  EXPECT_EQ(FilesIn("images"), 130u);
  EXPECT_EQ(Read("images/3.raw8"), FakeImageServer::Pixels(1, 7, 3));
  EXPECT_EQ(Read("images/132.raw8"), FakeImageServer::Pixels(1, 7, 132));
  ASSERT_THAT(server_.requests(), SizeIs(3));
  EXPECT_EQ(server_.requests()[2].request_class(), v1::REQUEST_CLASS_BATCH);
}

TEST_F(CliTest, WritesEachPreviewIntoAFileIfAskedTo) {
  const Result result =
      Run("generate --stream --previews --preview_dir=steps --count=2 --seed=7 "
          "--out=images/");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("previews: 6 received, 1 dropped\n"));
  EXPECT_EQ(FilesIn("images"), 2u);
  EXPECT_EQ(FilesIn("steps"), 6u);
  EXPECT_EQ(Read("steps/7-1-step3.png"), Read("images/1.png"));
  EXPECT_EQ(Run("generate --stream --previews --seed=7 --out=x.png").exit_code,
            0);
}

TEST_F(CliTest, CountsTheStepsOfAModelThatTakesFewerThanT) {
  server_.set_tamper([](v1::GenerateResponse* reply) {
    reply->set_num_timesteps(1000);
    reply->set_evaluations(3);
  });
  const Result result =
      Run("generate --stream --previews --count=2 --seed=7 --out=images/");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr(", T = 1000, 3 evaluations per image\n"),
                    HasSubstr("previews: 4 received, 1 dropped\n")));
}

TEST_F(CliTest, SaysOfASingleEvaluationThatItIsOne) {
  server_.set_tamper([](v1::GenerateResponse* reply) {
    reply->set_num_timesteps(1000);
    reply->set_evaluations(1);
  });
  const Result result = Run("generate --seed=7");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr(", T = 1000, 1 evaluation per image\n"));
}

TEST_F(CliTest, MakesTheSameGridOfAStream) {
  const std::string arguments = "generate --count=70 --seed=7 --grid --out=";
  EXPECT_EQ(Run(arguments + "a.png").exit_code, 0);
  EXPECT_EQ(Run(arguments + "b.png --stream --previews").exit_code, 0);
  EXPECT_EQ(Read("a.png"), Read("b.png"));
}

TEST_F(CliTest, EndsAStreamWhosePreviewsCannotBeWritten) {
  const Result result =
      Run("generate --stream --previews --preview_dir=/dev/null/x --count=640 "
          "--out=images/");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("cannot make the folder /dev/null/x"));
  EXPECT_THAT(server_.requests(), SizeIs(1));
}

TEST_F(CliTest, HasNamesForFilesIfNoneAreGiven) {
  EXPECT_EQ(Run("generate --count=2").exit_code, 0);
  EXPECT_THAT(Read("ddgan-1.png"), StartsWith("PNG of "));
  EXPECT_EQ(Run("generate --format=float32").exit_code, 0);
  EXPECT_THAT(Read("ddgan-0.float32"), SizeIs(4 * 4 * 4));
  EXPECT_EQ(Run("generate --count=2 --grid").exit_code, 0);
  EXPECT_THAT(Read("ddgan-grid.png"), StartsWith("\x89PNG"));
}

TEST_F(CliTest, ReportsTheServersErrorWithCodeAndAdvice) {
  const Result result = Run("generate --model=faces");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("NOT_FOUND: there is no model 'faces'"),
                    HasSubstr("ddgan models")));
  EXPECT_EQ(FilesIn("."), 0u);
}

TEST_F(CliTest, SaysThatItTriesAgain) {
  server_.FailNext(
      {grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full"),
       "10"});
  const Result result = Run("generate --out=x.png");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("RESOURCE_EXHAUSTED: the queue is full; "
                                       "trying again in 1"));
}

TEST_F(CliTest, ReportsAServerThatIsNotThere) {
  const Result result =
      Run("generate --server=127.0.0.1:1 --timeout=300ms --out=x.png");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("UNAVAILABLE: "),
                    HasSubstr("Is a ddgan-server running at 127.0.0.1:1")));
}

TEST_F(CliTest, StreamsFromAGuideWithAPreviewOfEachOfItsSteps) {
  std::ofstream(folder_ / "strokes.png", std::ios::binary)
      << "\x89PNG\r\n\x1a\n";
  const Result result =
      Run("generate --stream --previews --preview_dir=steps --count=2 --seed=7 "
          "--guide=strokes.png --guide_steps=3 --out=images/");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("previews: 4 received, 1 dropped\n"));
  EXPECT_EQ(Read("steps/7-1-step2.png"), Read("images/1.png"));
  ASSERT_THAT(server_.requests(), SizeIs(1));
  EXPECT_EQ(server_.requests()[0].guide().steps(), 3u);
}

TEST_F(CliTest, SendsTheGuideInEachCall) {
  const std::string png("\x89PNG\r\n\x1a\n and more, \0 included", 28);
  std::ofstream(folder_ / "my strokes.png", std::ios::binary) << png;
  const Result first =
      Run("generate --count=65 --seed=7 --guide='my strokes.png' "
          "--guide_steps=2 --guide_fit=resize --out=images/");
  ASSERT_EQ(first.exit_code, 0) << first.output;
  EXPECT_THAT(first.output,
              AllOf(HasSubstr("\nguide my strokes.png, 2 of the T steps\n"),
                    HasSubstr(" --guide='my strokes.png' --guide_steps=2 "
                              "--guide_fit=resize ")));
  EXPECT_EQ(Run("generate --guide='my strokes.png' --guide_steps=1").exit_code,
            0);
  EXPECT_EQ(Run("generate").exit_code, 0);

  const std::vector<v1::GenerateRequest> requests = server_.requests();
  ASSERT_THAT(requests, SizeIs(4));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(requests[i].guide().png(), png);
    EXPECT_EQ(requests[i].guide().steps(), i < 2 ? 2u : 1u);
    EXPECT_EQ(requests[i].guide().fit(),
              i < 2 ? v1::GUIDE_FIT_RESIZE : v1::GUIDE_FIT_UNSPECIFIED);
  }
  EXPECT_FALSE(requests[3].has_guide());
}

TEST_F(CliTest, RefusesAGuideThatCannotBeSentBeforeItAsks) {
  const Result missing = Run("generate --guide=no.png --guide_steps=2");
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.output, HasSubstr("ddgan: cannot read no.png: No such"));
  std::ofstream(folder_ / "photo.jpg") << "\xff\xd8";
  const Result jpeg = Run("generate --guide=photo.jpg --guide_steps=2");
  EXPECT_EQ(jpeg.exit_code, 1);
  EXPECT_THAT(jpeg.output, HasSubstr("ddgan: photo.jpg is no PNG file"));
  EXPECT_THAT(server_.requests(), SizeIs(0));
}

TEST_F(CliTest, RefusesOneNameForManyImagesBeforeItAsks) {
  const Result result = Run("generate --count=2 --out=x.png");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("one file name for 2 images"));
  EXPECT_THAT(server_.requests(), SizeIs(0));
}

TEST_F(CliTest, ReportsAFileThatCannotBeWrittenAndStops) {
  const Result result =
      Run("generate --count=640 --format=raw8 --out=/dev/null/%d");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("cannot make the folder /dev/null"));
  EXPECT_THAT(server_.requests(), SizeIs(1));
}

TEST_F(CliTest, ExitsWith2OnACommandLineThatMakesNoSense) {
  EXPECT_EQ(Run("").exit_code, 2);
  EXPECT_EQ(Run("paint").exit_code, 2);
  const Result result = Run("generate --count=0");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("--count is 0, must be a whole number"));
  EXPECT_THAT(server_.requests(), SizeIs(0));
}

TEST_F(CliTest, ListsModelsAndWhyOneIsRefused) {
  const Result result = Run("models");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output,
            "MODEL  VERSION  STATE    SIZE   T  TRAINED  DATASET  LOADED       "
            "       "
            "  DIGEST\n"
            "mnist  4        refused\n"
            "mnist  3        live     4x4x1  4  12345    mnist    "
            "2027-01-15T08:00:00Z"
            "  dddddddddddd\n"
            "\n"
            "mnist 4: model.safetensors: size 7, the manifest says 9\n");
}

constexpr char kPinnedAndLive[] =
    "mnist 4 is live and pinned; `ddgan models unpin mnist` takes newer "
    "versions again\n";

TEST_F(CliTest, PinsAVersionThatIsLoadedAtOnce) {
  const Result result = Run("models pin mnist 4");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, kPinnedAndLive);
  EXPECT_THAT(server_.control_calls(), ElementsAre("pin mnist 4"));
}

TEST_F(CliTest, WaitsUntilAPinnedVersionIsLive) {
  server_.SetPinned(v1::MODEL_VERSION_STATE_LOADING);
  v1::WatchModelsResponse other;
  other.mutable_model()->set_name("cats");
  v1::WatchModelsResponse other_gone;
  other_gone.set_removed_model("cats");
  server_.ScriptWatch({other, PinnedTo4(v1::MODEL_VERSION_STATE_LOADING),
                       PinnedTo4(v1::MODEL_VERSION_STATE_WAITING, "no room"),
                       other_gone, PinnedTo4(v1::MODEL_VERSION_STATE_LOADING),
                       PinnedTo4(v1::MODEL_VERSION_STATE_LIVE)});
  const Result result = Run("models pin mnist 4");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output,
            absl::StrCat("mnist 4: loading\nmnist 4: waiting: no room\n"
                         "mnist 4: loading\n",
                         kPinnedAndLive));
}

TEST_F(CliTest, SaysWhyAPinnedVersionDoesNotBecomeLive) {
  server_.SetPinned(v1::MODEL_VERSION_STATE_LOADING);
  server_.ScriptWatch(
      {PinnedTo4(v1::MODEL_VERSION_STATE_REFUSED, "all black")});
  Result result = Run("models pin mnist 4");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output,
            "mnist 4: loading\n"
            "ddgan: FAILED_PRECONDITION: mnist 4 is refused: all black\n");

  v1::WatchModelsResponse gone;
  gone.set_removed_model("mnist");
  server_.ScriptWatch({gone});
  result = Run("models pin mnist 4");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("ddgan: NOT_FOUND: mnist is gone\n"));

  server_.ScriptWatch({PinnedTo4(v1::MODEL_VERSION_STATE_LOADING)},
                      grpc::Status(grpc::StatusCode::UNAVAILABLE, "down"));
  result = Run("models pin mnist 4");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("ddgan: UNAVAILABLE: down\n"));
}

TEST_F(CliTest, WaitsForAPinNoLongerThanItIsTold) {
  server_.SetPinned(v1::MODEL_VERSION_STATE_LOADING);
  server_.ScriptWatch({PinnedTo4(v1::MODEL_VERSION_STATE_LOADING)});
  const Result result = Run("models pin mnist 4 --timeout=1s");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output,
            "mnist 4: loading\n"
            "ddgan: DEADLINE_EXCEEDED: mnist 4 is not live yet, but stays "
            "pinned; `ddgan models watch` shows how it goes on\n");
}

TEST_F(CliTest, RollsBackAndTakesThePinBack) {
  Result result = Run("models rollback mnist");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, StartsWith("mnist 2 is live and pinned; "));
  result = Run("models unpin mnist");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "mnist is not pinned; 3 is live now\n");
  EXPECT_THAT(server_.control_calls(),
              ElementsAre("roll back mnist", "unpin mnist"));
}

TEST_F(CliTest, SaysWhyTheServerRefusesToControlAModel) {
  server_.RefuseControl(
      grpc::Status(grpc::StatusCode::NOT_FOUND, "no model 'cats'"));
  for (const char* arguments :
       {"models pin cats 4", "models unpin cats", "models rollback cats"}) {
    const Result result = Run(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.output,
                AllOf(StartsWith("ddgan: NOT_FOUND: no model 'cats'\n"),
                      HasSubstr("ddgan models --server=")));
  }
}

TEST_F(CliTest, WatchesModels) {
  v1::WatchModelsResponse gone;
  gone.set_removed_model("mnist");
  server_.ScriptWatch({PinnedTo4(v1::MODEL_VERSION_STATE_LOADING),
                       PinnedTo4(v1::MODEL_VERSION_STATE_LIVE), gone},
                      grpc::Status(grpc::StatusCode::UNAVAILABLE, "down"));
  const Result result = Run("models watch");
  EXPECT_EQ(result.exit_code, 1);
  const std::string time = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z ";
  EXPECT_THAT(result.output,
              MatchesRegex(absl::StrCat(time, "mnist 4: loading\n",    //
                                        time, "mnist: pinned to 4\n",  //
                                        time, "mnist 4: live\n",       //
                                        time, "mnist: gone\n",         //
                                        "ddgan: UNAVAILABLE: down\n(.|\n)*")));
}

TEST_F(CliTest, WatchesModelsNoLongerThanItIsTold) {
  server_.ScriptWatch({PinnedTo4(v1::MODEL_VERSION_STATE_LOADING)});
  const Result result = Run("models watch --timeout=1s");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("mnist 4: loading\n"));
}

TEST_F(CliTest, HealthIsAnAnswerAndAnExitCode) {
  Result result = Run("health");
  EXPECT_EQ(result.output, "SERVING\n");
  EXPECT_EQ(result.exit_code, 0);
  server_.SetServing(false);
  result = Run("health");
  EXPECT_EQ(result.output, "NOT_SERVING\n");
  EXPECT_EQ(result.exit_code, 1);
  result = Run("health --service=no.such.Service");
  EXPECT_THAT(result.output, HasSubstr("NOT_FOUND"));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(Run("health --server=127.0.0.1:1").exit_code, 1);
}

TEST_F(CliTest, PrintsModelsAndHealthAsJson) {
  Result result = Run("models --json");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const nlohmann::json models = nlohmann::json::parse(result.output);
  EXPECT_EQ(models["models"][0]["live_version"], 3);
  EXPECT_EQ(models["models"][0]["versions"][0]["state"], "refused");
  result = Run("health --json");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(result.output)["ready"], true);
  server_.SetServing(false);
  result = Run("health --json");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(nlohmann::json::parse(result.output)["status"], "NOT_SERVING");
  // What a person is told stays apart from what a program reads.
  result = Run("health --json --server=127.0.0.1:1 2>errors && exit 0; exit 1");
  EXPECT_EQ(result.exit_code, 1);
  const nlohmann::json health = nlohmann::json::parse(result.output);
  EXPECT_EQ(health["error"]["code"], "UNAVAILABLE");
  EXPECT_EQ(health["server"], "127.0.0.1:1");
  EXPECT_THAT(Read("errors"), HasSubstr("ddgan: UNAVAILABLE"));
}

TEST_F(CliTest, BenchPrintsATableAndWritesJson) {
  const Result result =
      Run("bench --concurrency=2 --calls=20 --warmup=0 --counts=1,4 "
          "--json=report.json");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output,
              AllOf(StartsWith("server       " + server_.address()),
                    HasSubstr("closed loop of 2 callers, 20 calls"),
                    HasSubstr("\n  ok         20 (100.0%)\n"),
                    HasSubstr("\ncount 4 ")));
  const nlohmann::json report = nlohmann::json::parse(Read("report.json"));
  EXPECT_EQ(report["calls"]["ok"], 20);
  EXPECT_EQ(report["standalone"].size(), 2u);
  // 5 of each count alone and one to connect.
  EXPECT_THAT(server_.requests(), SizeIs(31));
}

TEST_F(CliTest, BenchWritesNothingButJsonToAPipeThatWantsIt) {
  const Result result = RunShell(
      absl::StrCat("(" DDGAN_BINARY " bench --server=", server_.address(),
                   " --rate=1000 --calls=5 --warmup=0 --json=- 2>/dev/null)"));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(result.output)["calls"]["scheduled"], 5);
}

TEST_F(CliTest, BenchExitsWith1IfAnImageHasOtherBytesThanBefore) {
  std::atomic<int> replies = 0;
  server_.set_tamper([&](v1::GenerateResponse* reply) {
    if (++replies == 20) reply->mutable_images(0)->mutable_data()->back() ^= 1;
  });
  const Result result =
      Run("bench --concurrency=1 --calls=20 --warmup=0 --standalone_calls=0 "
          "--seed_pool=2 --verify");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("18 images made again, 1 with other bytes"),
                    HasSubstr("differs    version 3, seed ")));
}

TEST_F(CliTest, BenchRecordsItsCalls) {
  const Result result =
      Run("bench --concurrency=2 --calls=20 --warmup=0 --standalone_calls=0 "
          "--record=out/calls.jsonl");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const std::string calls = Read("out/calls.jsonl");
  EXPECT_EQ(std::count(calls.begin(), calls.end(), '\n'), 20);
}

TEST_F(CliTest, BenchInterruptedReportsWhatThereIs) {
  std::thread interrupter([this] {
    server_.AwaitRequests(5);
    EXPECT_EQ(kill(std::stoi(Read("pid")), SIGINT), 0);
  });
  const Result result = RunShell(absl::StrCat(
      "(" DDGAN_BINARY " bench --server=", server_.address(),
      " --concurrency=1 --warmup=0 --standalone_calls=0 --duration=30s "
      "--json=report.json & echo $! > pid; wait $!)"));
  interrupter.join();
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const nlohmann::json report = nlohmann::json::parse(Read("report.json"));
  EXPECT_GE(report["calls"]["ok"], 5);
  EXPECT_EQ(report["calls"]["ok"], report["calls"]["scheduled"]);
}

TEST_F(CliTest, BenchReportsAServerThatIsNotThere) {
  const Result result = Run("bench --server=127.0.0.1:1 --rate=1 --timeout=1s");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("UNAVAILABLE: "));
}

TEST_F(CliTest, BenchLooksWhetherItsReportCanBeWrittenBeforeItAsks) {
  EXPECT_EQ(Run("bench --rate=1 --json=/dev/null/x").exit_code, 1);
  EXPECT_THAT(server_.requests(), SizeIs(0));
}

TEST_F(CliTest, PrintsHelp) {
  const Result result = Run("generate --help");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("usage: ddgan generate"),
                                   HasSubstr("also DDGAN_SERVER")));
}

}  // namespace
}  // namespace ddgan

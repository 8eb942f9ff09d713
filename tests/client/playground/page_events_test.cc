#include "client/playground/page_events.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan::playground {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The event's data, after a look at its form.
nlohmann::json DataOf(const std::string& event, const std::string& name) {
  const std::string begin = absl::StrCat("event: ", name, "\ndata: ");
  EXPECT_TRUE(absl::StartsWith(event, begin)) << event;
  EXPECT_TRUE(absl::EndsWith(event, "}\n\n")) << event;
  const std::string data = event.substr(begin.size());
  EXPECT_EQ(data.find('\n'), data.size() - 2) << event;
  return nlohmann::json::parse(data);
}

v1::StreamAccepted Accepted() {
  v1::StreamAccepted accepted;
  accepted.set_model("mnist");
  accepted.set_version(9223372036854775807);
  accepted.set_checkpoint_digest(std::string(64, 'd'));
  accepted.set_seed(18446744073709551615u);
  accepted.set_num_timesteps(4);
  accepted.mutable_shape()->set_width(32);
  accepted.mutable_shape()->set_height(16);
  return accepted;
}

ImageSource Source() {
  return SourceOf(v1::GenerateRequest(), Accepted(), "host:1", {});
}

ImageSource GuidedSource() {
  v1::GenerateRequest request;
  request.mutable_guide()->set_png("abc");
  request.mutable_guide()->set_steps(2);
  ConnectionSecurity security;
  security.tls = true;
  security.token_file = "my token";
  return SourceOf(request, Accepted(), "host:1", security);
}

TEST(PageEventsTest, NumbersOf64BitsAreText) {
  const nlohmann::json data = DataOf(AcceptedEvent(Source()), "accepted");
  EXPECT_EQ(data["version"], "9223372036854775807");
  EXPECT_EQ(data["seed"], "18446744073709551615");
  EXPECT_EQ(data["digest"], std::string(64, 'd'));
  EXPECT_EQ(data["steps"], 4);
  EXPECT_EQ(data["width"], 32);
  EXPECT_EQ(data["height"], 16);
  EXPECT_EQ(data["guide_file"], "");
}

TEST(PageEventsTest, StepsAreTheModelsEvaluationsOrTheGuides) {
  v1::StreamAccepted accepted = Accepted();
  accepted.set_evaluations(7);
  EXPECT_EQ(SourceOf({}, accepted, "", {}).steps, 7u);
  EXPECT_EQ(GuidedSource().steps, 2u);
}

TEST(PageEventsTest, AGuidesFileIsNamedByItsBytes) {
  // sha256sum of "abc" begins ba7816bf8f01.
  EXPECT_EQ(GuideFileName("abc"), "strokes-ba7816bf8f01.png");
  EXPECT_EQ(DataOf(AcceptedEvent(GuidedSource()), "accepted")["guide_file"],
            "strokes-ba7816bf8f01.png");
}

TEST(PageEventsTest, APreviewSaysHowManyStepsAreDone) {
  v1::StreamPreview preview;
  preview.set_index(3);
  preview.set_step(1);
  preview.set_data("abc");
  const nlohmann::json data =
      DataOf(PreviewEvent(Source(), preview), "preview");
  EXPECT_EQ(data["index"], 3);
  EXPECT_EQ(data["done"], 3);
  EXPECT_EQ(data["png"], "YWJj");
  // What no sound server says is no step below zero.
  preview.set_step(9);
  EXPECT_EQ(DataOf(PreviewEvent(Source(), preview), "preview")["done"], 0);
}

TEST(PageEventsTest, AnImageComesWithTheCommandThatMakesItAgain) {
  v1::GeneratedImage image;
  image.set_index(5);
  image.set_data("abc");
  const nlohmann::json data = DataOf(ImageEvent(Source(), image), "image");
  EXPECT_EQ(data["index"], 5);
  EXPECT_EQ(data["png"], "YWJj");
  const std::string file =
      "mnist-9223372036854775807-seed18446744073709551615-5.png";
  EXPECT_EQ(data["file"], file);
  EXPECT_EQ(data["command"],
            "ddgan generate --server=host:1 --model=mnist "
            "--version=9223372036854775807 --seed=18446744073709551615 "
            "--count=1 --first_index=5 --format=png --out=" +
                file);
}

TEST(PageEventsTest, TheCommandNamesGuideAndConnection) {
  v1::GeneratedImage image;
  const nlohmann::json data =
      DataOf(ImageEvent(GuidedSource(), image), "image");
  EXPECT_THAT(data["command"].get<std::string>(),
              HasSubstr("--server=host:1 --tls --token_file='my token' "));
  EXPECT_THAT(data["command"].get<std::string>(),
              HasSubstr(" --guide=strokes-ba7816bf8f01.png --guide_steps=2 "
                        "--guide_fit=resize "));
}

TEST(PageEventsTest, AFilesNameIsHarmless) {
  ImageSource source = Source();
  source.model = "../a b";
  v1::GeneratedImage image;
  EXPECT_THAT(DataOf(ImageEvent(source, image), "image")["file"],
              testing::StartsWith(".._a_b-"));
}

TEST(PageEventsTest, AMessageOfAnyBytesStaysOneEvent) {
  const std::string event = FailedEvent(
      absl::UnavailableError("a\n\nevent: image\ndata: {}\n\n\xff"));
  EXPECT_THAT(event, Not(HasSubstr("\nevent: image")));
  const nlohmann::json data = DataOf(event, "failed");
  EXPECT_EQ(data["code"], "UNAVAILABLE");
  EXPECT_EQ(data["message"], "a\n\nevent: image\ndata: {}\n\n\xef\xbf\xbd");
}

TEST(PageEventsTest, SaysHowLongItWaits) {
  const nlohmann::json data =
      DataOf(WaitingEvent(absl::ResourceExhaustedError("full"),
                          absl::Milliseconds(1500)),
             "waiting");
  EXPECT_EQ(data["code"], "RESOURCE_EXHAUSTED");
  EXPECT_EQ(data["delay_ms"], 1500);
}

TEST(PageEventsTest, SaysWhereTheTimeWent) {
  v1::StreamSummary summary;
  summary.set_images(4);
  summary.set_previews_dropped(1);
  summary.mutable_timings()->mutable_queue()->set_nanos(2'900'000);
  summary.mutable_timings()->mutable_steps()->set_seconds(1);
  const nlohmann::json data = DataOf(DoneEvent(summary), "done");
  EXPECT_EQ(data["images"], 4);
  EXPECT_EQ(data["previews_dropped"], 1);
  EXPECT_EQ(data["queue_ms"], 2);
  EXPECT_EQ(data["steps_ms"], 1000);
}

TEST(PageEventsTest, TellsAllThatIsKnownOfTheServer) {
  ServerState state;
  state.contact = ServerState::Contact::kFound;
  v1::Model& model = state.models["mnist"];
  model.set_name("mnist");
  model.set_live_version(12060);
  v1::ModelVersion* version = model.add_versions();
  version->set_version(12060);
  version->set_state(v1::MODEL_VERSION_STATE_LIVE);
  version->mutable_shape()->set_channels(1);
  version->mutable_shape()->set_width(32);
  version->set_num_timesteps(4);
  version = model.add_versions();
  version->set_version(3);
  version->set_state(v1::MODEL_VERSION_STATE_REFUSED);
  version->set_reason("too small");
  const nlohmann::json data = DataOf(ServerEvent(state, "host:1"), "server");
  EXPECT_EQ(data["address"], "host:1");
  EXPECT_EQ(data["contact"], "found");
  ASSERT_EQ(data["models"].size(), 1u);
  EXPECT_EQ(data["models"][0]["live"], "12060");
  EXPECT_EQ(data["models"][0]["versions"][0]["state"], "live");
  EXPECT_EQ(data["models"][0]["versions"][0]["steps"], 4);
  EXPECT_EQ(data["models"][0]["versions"][1]["state"], "refused");
  EXPECT_EQ(data["models"][0]["versions"][1]["reason"], "too small");
}

}  // namespace
}  // namespace ddgan::playground

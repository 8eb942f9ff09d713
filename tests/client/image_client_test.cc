#include "client/image_client.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_image_server.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

using HealthResponse = grpc::health::v1::HealthCheckResponse;

ImageClient::Options QuickRetries() {
  ImageClient::Options options;
  options.timeout = absl::Seconds(20);
  options.retry.initial_backoff = absl::Milliseconds(1);
  options.retry.max_backoff = absl::Milliseconds(5);
  return options;
}

v1::GenerateRequest Raw8Request(uint32_t count) {
  v1::GenerateRequest request;
  request.set_count(count);
  request.set_seed(7);
  request.set_format(v1::OUTPUT_FORMAT_RAW8);
  return request;
}

FakeImageServer::Failure Failing(grpc::StatusCode code) {
  return {grpc::Status(code, "scripted"), {}};
}

TEST(ImageClientTest, ReturnsTheImagesOfOneCall) {
  FakeImageServer server(3);
  const ImageClient client(server.address(), QuickRetries());
  const absl::StatusOr<v1::GenerateResponse> reply =
      client.Generate(Raw8Request(2));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->seed(), 7u);
  ASSERT_EQ(reply->images_size(), 2);
  EXPECT_EQ(reply->images(1).data(), FakeImageServer::Pixels(3, 7, 1));
}

TEST(ImageClientTest, KeepsTheServersCodeAndMessage) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  const absl::Status status = client.Generate(Raw8Request(65)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "count 65; it must be in [1, 64]");
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST(ImageClientTest, TriesAgainWhileTheServerIsUnavailable) {
  FakeImageServer server;
  server.FailNext(Failing(grpc::StatusCode::UNAVAILABLE));
  server.FailNext(Failing(grpc::StatusCode::UNAVAILABLE));
  ImageClient::Options options = QuickRetries();
  int waits = 0;
  options.on_retry = [&](const absl::Status& failure, absl::Duration) {
    EXPECT_EQ(failure.code(), absl::StatusCode::kUnavailable);
    ++waits;
  };
  const ImageClient client(server.address(), options);
  EXPECT_TRUE(client.Generate(Raw8Request(1)).ok());
  EXPECT_EQ(waits, 2);
  EXPECT_THAT(server.requests(), SizeIs(3));
}

TEST(ImageClientTest, WaitsAsLongAsTheServersTrailerSays) {
  FakeImageServer server;
  FakeImageServer::Failure overload =
      Failing(grpc::StatusCode::RESOURCE_EXHAUSTED);
  overload.pushback = "20";
  server.FailNext(overload);
  ImageClient::Options options = QuickRetries();
  absl::Duration waited;
  options.on_retry = [&](const absl::Status&, absl::Duration delay) {
    waited = delay;
  };
  const ImageClient client(server.address(), options);
  EXPECT_TRUE(client.Generate(Raw8Request(1)).ok());
  EXPECT_GE(waited, absl::Milliseconds(20));
  EXPECT_LE(waited, absl::Milliseconds(24));
}

TEST(ImageClientTest, GivesUpAfterAsManyAttemptsAsThePolicyAllows) {
  FakeImageServer server;
  for (int i = 0; i < 9; ++i) {
    server.FailNext(Failing(grpc::StatusCode::UNAVAILABLE));
  }
  const ImageClient client(server.address(), QuickRetries());
  EXPECT_EQ(client.Generate(Raw8Request(1)).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_THAT(server.requests(), SizeIs(QuickRetries().retry.max_attempts));
}

TEST(ImageClientTest, ReportsAServerThatIsNotThere) {
  std::string address;
  {
    const FakeImageServer gone;
    address = gone.address();
  }
  const ImageClient client(address, QuickRetries());
  EXPECT_EQ(client.Generate(Raw8Request(1)).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(client.ListModels().status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(client.CheckHealth("").status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(ImageClientTest, EndsACallAtItsTimeout) {
  FakeImageServer server;
  server.HoldReplies();
  ImageClient::Options options = QuickRetries();
  options.timeout = absl::Milliseconds(50);
  const ImageClient client(server.address(), options);
  EXPECT_EQ(client.Generate(Raw8Request(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(ImageClientTest, RefusesAReplyThatDoesNotFitTheRequest) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  const auto expect_data_loss =
      [&](const std::function<void(v1::GenerateResponse*)>& tamper,
          const std::string& reason) {
        server.set_tamper(tamper);
        const absl::Status status = client.Generate(Raw8Request(2)).status();
        EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
        EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
      };
  expect_data_loss(
      [](v1::GenerateResponse* r) { r->mutable_images()->RemoveLast(); },
      "holds 1 images");
  expect_data_loss(
      [](v1::GenerateResponse* r) { r->mutable_images(1)->set_index(0); },
      "has index 0; wanted 1");
  expect_data_loss([](v1::GenerateResponse* r) { r->clear_shape(); },
                   "with 0 channels");
  expect_data_loss(
      [](v1::GenerateResponse* r) { r->mutable_shape()->set_channels(2); },
      "with 2 channels");
  expect_data_loss(
      [](v1::GenerateResponse* r) {
        r->mutable_images(0)->mutable_data()->pop_back();
      },
      "image 0 has 15 bytes");
  expect_data_loss(
      [](v1::GenerateResponse* r) {
        r->mutable_shape()->set_height(0xffffffff);
        r->mutable_shape()->set_width(0xffffffff);
      },
      "has 16 bytes");
}

v1::GenerateStreamRequest StreamRequest(uint32_t count, bool previews) {
  v1::GenerateStreamRequest request;
  *request.mutable_request() = Raw8Request(count);
  request.set_previews(previews);
  return request;
}

// Writes down what a stream brings: "accepted 7", "preview 0 at 3", "image 1",
// "summary 2".
ImageClient::StreamCallbacks WriteDown(std::vector<std::string>* events) {
  return {.on_accepted =
              [events](const v1::StreamAccepted& accepted) {
                events->push_back(absl::StrCat("accepted ", accepted.seed()));
                return true;
              },
          .on_preview =
              [events](const v1::StreamPreview& preview) {
                events->push_back(absl::StrCat("preview ", preview.index(),
                                               " at ", preview.step()));
                return true;
              },
          .on_image =
              [events](const v1::GeneratedImage& image) {
                events->push_back(absl::StrCat("image ", image.index()));
                return true;
              },
          .on_summary =
              [events](const v1::StreamSummary& summary) {
                events->push_back(absl::StrCat("summary ", summary.images()));
              }};
}

TEST(ImageClientTest, HandsOnAStreamAsItComes) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  std::vector<std::string> events;
  absl::Status status =
      client.GenerateStream(StreamRequest(2, false), WriteDown(&events));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(events,
              ElementsAre("accepted 7", "image 1", "image 0", "summary 2"));
  events.clear();
  status = client.GenerateStream(StreamRequest(1, true), WriteDown(&events));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(events,
              ElementsAre("accepted 7", "preview 0 at 3", "preview 0 at 2",
                          "preview 0 at 1", "image 0", "summary 1"));
  EXPECT_TRUE(client.GenerateStream(StreamRequest(1, true), {}).ok());
}

TEST(ImageClientTest, EndsAStreamWhenACallbackSaysSo) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  std::vector<std::string> events;
  ImageClient::StreamCallbacks callbacks = WriteDown(&events);
  callbacks.on_preview = [](const v1::StreamPreview& preview) {
    return preview.step() > 2;
  };
  EXPECT_EQ(client.GenerateStream(StreamRequest(1, true), callbacks).code(),
            absl::StatusCode::kCancelled);
  EXPECT_THAT(events, ElementsAre("accepted 7"));
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST(ImageClientTest, TriesARefusedStreamAgain) {
  FakeImageServer server;
  FakeImageServer::Failure overload =
      Failing(grpc::StatusCode::RESOURCE_EXHAUSTED);
  overload.pushback = "1";
  server.FailNext(overload);
  const ImageClient client(server.address(), QuickRetries());
  std::vector<std::string> events;
  const absl::Status status =
      client.GenerateStream(StreamRequest(1, false), WriteDown(&events));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(events, ElementsAre("accepted 7", "image 0", "summary 1"));
  EXPECT_THAT(server.requests(), SizeIs(2));
}

TEST(ImageClientTest, RepeatsNoStreamThatHasBegun) {
  FakeImageServer server;
  server.BreakStreams(grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"));
  const ImageClient client(server.address(), QuickRetries());
  std::vector<std::string> events;
  const absl::Status status =
      client.GenerateStream(StreamRequest(1, false), WriteDown(&events));
  EXPECT_EQ(status, absl::UnavailableError("gone"));
  EXPECT_THAT(events, ElementsAre("accepted 7"));
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST(ImageClientTest, RefusesAStreamThatDoesNotFitTheRequest) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  const auto expect_data_loss =
      [&](const std::function<void(v1::GenerateResponse*)>& tamper,
          const std::string& reason) {
        server.set_tamper(tamper);
        for (bool previews : {false, true}) {
          const absl::Status status =
              client.GenerateStream(StreamRequest(2, previews), {});
          EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
          EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
        }
      };
  expect_data_loss(
      [](v1::GenerateResponse* r) { r->mutable_images()->RemoveLast(); },
      "without 1 of the 2 images");
  expect_data_loss(
      [](v1::GenerateResponse* r) { r->mutable_images(1)->set_index(0); },
      "brings image 0, which was not asked for or has come before");
  expect_data_loss(
      [](v1::GenerateResponse* r) { r->mutable_images(0)->set_index(2); },
      "brings image 2, which was not asked for");
  expect_data_loss([](v1::GenerateResponse* r) { r->clear_shape(); },
                   "with 0 channels");
  expect_data_loss(
      [](v1::GenerateResponse* r) {
        r->mutable_images(0)->mutable_data()->pop_back();
      },
      "image 0 has 15 bytes");
}

TEST(ImageClientTest, SplitsALargeStreamAndKeepsWhatTheFirstOneChose) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  v1::GenerateStreamRequest request = StreamRequest(0, false);
  request.mutable_request()->clear_seed();
  request.mutable_request()->set_first_index(5);
  std::vector<std::string> events;
  absl::Status status =
      client.GenerateStreamInParts(request, 65, WriteDown(&events));
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_THAT(events, SizeIs(2 + 65 + 2));
  EXPECT_EQ(events[65], "summary 64");
  EXPECT_EQ(events[66], "accepted 4242");
  EXPECT_EQ(events[67], "image 69");
  ASSERT_THAT(server.requests(), SizeIs(2));
  EXPECT_EQ(server.requests()[1].seed(), FakeImageServer::kDrawnSeed);
  EXPECT_EQ(server.requests()[1].version(), FakeImageServer::kVersion);

  events.clear();
  ImageClient::StreamCallbacks callbacks = WriteDown(&events);
  callbacks.on_summary = [&server](const v1::StreamSummary&) {
    server.set_tamper([](v1::GenerateResponse* reply) {
      reply->set_checkpoint_digest("other");
    });
  };
  status = client.GenerateStreamInParts(request, 65, callbacks);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(events, SizeIs(1 + 64));
}

TEST(ImageClientTest, SplitsALargeCountAndKeepsWhatTheFirstCallChose) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  v1::GenerateRequest request = Raw8Request(0);
  request.clear_seed();
  request.set_first_index(5);
  std::vector<std::string> images;
  const absl::Status status = client.GenerateInParts(
      request, 130, [&](const v1::GenerateResponse& part) {
        for (const v1::GeneratedImage& image : part.images()) {
          EXPECT_EQ(image.index(), 5 + images.size());
          images.push_back(image.data());
        }
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_THAT(images, SizeIs(130));
  EXPECT_EQ(images[129],
            FakeImageServer::Pixels(1, FakeImageServer::kDrawnSeed, 134));

  const std::vector<v1::GenerateRequest> requests = server.requests();
  ASSERT_THAT(requests, SizeIs(3));
  EXPECT_FALSE(requests[0].has_version());
  EXPECT_EQ(requests[0].count(), 64u);
  EXPECT_EQ(requests[1].count(), 64u);
  EXPECT_EQ(requests[2].count(), 2u);
  for (int i : {1, 2}) {
    EXPECT_EQ(requests[i].model(), FakeImageServer::kModel);
    EXPECT_EQ(requests[i].version(), FakeImageServer::kVersion);
    EXPECT_EQ(requests[i].seed(), FakeImageServer::kDrawnSeed);
    EXPECT_EQ(requests[i].first_index(), 5 + 64u * i);
  }
}

TEST(ImageClientTest, TakesSmallerPartsOfImagesThatAreTooLargeFor64) {
  FakeImageServer server;
  const grpc::Status refused(
      grpc::StatusCode::INVALID_ARGUMENT,
      "count: 64 is out of range [1, 21] for RAW8 images of 3x1024x1024");
  server.FailNext({refused, {}});
  server.FailNext({refused, {}});
  const ImageClient client(server.address(), QuickRetries());
  std::vector<uint32_t> indices;
  const absl::Status status = client.GenerateInParts(
      Raw8Request(0), 40, [&](const v1::GenerateResponse& part) {
        for (const v1::GeneratedImage& image : part.images())
          indices.push_back(image.index());
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_THAT(indices, SizeIs(40));
  for (uint32_t i = 0; i < 40; ++i) EXPECT_EQ(indices[i], i);
  std::vector<uint32_t> counts;
  for (const v1::GenerateRequest& request : server.requests())
    counts.push_back(request.count());
  EXPECT_THAT(counts, ElementsAre(40, 20, 10, 10, 10, 10));

  // What no smaller part would mend is an error at once.
  server.FailNext({grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                                "seed: is out of range"),
                   {}});
  EXPECT_EQ(client
                .GenerateInParts(Raw8Request(0), 40,
                                 [](const v1::GenerateResponse&) {
                                   return absl::OkStatus();
                                 })
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(server.requests(), SizeIs(7));
}

TEST(ImageClientTest, ReachesTheLastIndexAndNeverWraps) {
  constexpr uint32_t kMax = std::numeric_limits<uint32_t>::max();
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  v1::GenerateRequest request = Raw8Request(0);
  const auto ignore = [](const v1::GenerateResponse&) {
    return absl::OkStatus();
  };
  request.set_first_index(kMax - 64);
  EXPECT_TRUE(client.GenerateInParts(request, 65, ignore).ok());
  EXPECT_THAT(server.requests(), SizeIs(2));
  EXPECT_EQ(client.GenerateInParts(request, 66, ignore).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client.GenerateInParts(request, kMax, ignore).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client.GenerateInParts(request, 0, ignore).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(server.requests(), SizeIs(2));
}

TEST(ImageClientTest, MixesNoTwoCheckpoints) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  int parts = 0;
  const absl::Status status = client.GenerateInParts(
      Raw8Request(0), 128, [&](const v1::GenerateResponse&) {
        ++parts;
        server.set_tamper([](v1::GenerateResponse* reply) {
          reply->set_checkpoint_digest("other");
        });
        return absl::OkStatus();
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("then other"));
  EXPECT_EQ(parts, 1);
}

TEST(ImageClientTest, StopsWhenThePartsReceiverFails) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  const absl::Status status = client.GenerateInParts(
      Raw8Request(0), 640, [](const v1::GenerateResponse&) {
        return absl::ResourceExhaustedError("disk full");
      });
  EXPECT_EQ(status.message(), "disk full");
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST(ImageClientTest, ControlsModels) {
  FakeImageServer server;
  server.SetPinned(v1::MODEL_VERSION_STATE_LOADING);
  const ImageClient client(server.address(), QuickRetries());
  EXPECT_EQ(client.GetModel("mnist").value().live_version(),
            FakeImageServer::kVersion);
  const v1::ModelVersion pinned = client.PinVersion("mnist", 4).value();
  EXPECT_EQ(pinned.version(), 4);
  EXPECT_EQ(pinned.state(), v1::MODEL_VERSION_STATE_LOADING);
  EXPECT_EQ(client.UnpinVersion("mnist").value().name(), "mnist");
  EXPECT_EQ(client.RollBack("mnist").value().version(),
            FakeImageServer::kVersion - 1);
  EXPECT_THAT(server.control_calls(),
              ElementsAre("pin mnist 4", "unpin mnist", "roll back mnist"));
}

TEST(ImageClientTest, KeepsTheCodeOfARefusedControl) {
  FakeImageServer server;
  server.RefuseControl(
      grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "all black"));
  const ImageClient client(server.address(), QuickRetries());
  const absl::Status refused = absl::FailedPreconditionError("all black");
  EXPECT_EQ(client.PinVersion("mnist", 4).status(), refused);
  EXPECT_EQ(client.UnpinVersion("mnist").status(), refused);
  EXPECT_EQ(client.RollBack("mnist").status(), refused);
  EXPECT_EQ(client.GetModel("cats").status(),
            absl::NotFoundError("there is no model 'cats'"));
}

TEST(ImageClientTest, NeverRollsBackTwice) {
  FakeImageServer server;
  server.RefuseControl(grpc::Status(grpc::StatusCode::UNAVAILABLE, "disk"));
  const ImageClient client(server.address(), QuickRetries());
  EXPECT_EQ(client.RollBack("mnist").status(), absl::UnavailableError("disk"));
  EXPECT_THAT(server.control_calls(), SizeIs(1));
  EXPECT_EQ(client.PinVersion("mnist", 4).status(),
            absl::UnavailableError("disk"));
  EXPECT_THAT(server.control_calls(),
              SizeIs(1 + QuickRetries().retry.max_attempts));
}

std::vector<v1::WatchModelsResponse> WatchEvents() {
  std::vector<v1::WatchModelsResponse> events(2);
  events[0].mutable_model()->set_name("mnist");
  events[1].set_removed_model("mnist");
  return events;
}

TEST(ImageClientTest, WatchesUntilItsReceiverHasSeenEnough) {
  FakeImageServer server;
  server.ScriptWatch(WatchEvents());
  const ImageClient client(server.address(), QuickRetries());
  std::vector<std::string> seen;
  const absl::Status status = client.WatchModels(
      absl::InfiniteDuration(), [&](const v1::WatchModelsResponse& event) {
        seen.push_back(event.ShortDebugString());
        return seen.size() < 2;
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(seen, ElementsAre("model { name: \"mnist\" }",
                                "removed_model: \"mnist\""));
}

TEST(ImageClientTest, WatchesNoLongerThanItIsTold) {
  FakeImageServer server;
  server.ScriptWatch(WatchEvents());
  const ImageClient client(server.address(), QuickRetries());
  // Connects, so that the watch begins within its time.
  ASSERT_TRUE(client.CheckHealth("").ok());
  const absl::Status status = client.WatchModels(
      absl::Seconds(1), [](const v1::WatchModelsResponse&) { return true; });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(server.control_calls(), SizeIs(1));
}

TEST(ImageClientTest, RepeatsNoWatchThatHasBegun) {
  FakeImageServer server;
  const grpc::Status down(grpc::StatusCode::UNAVAILABLE, "shutting down");
  server.ScriptWatch(WatchEvents(), down);
  const ImageClient client(server.address(), QuickRetries());
  const auto ignore = [](const v1::WatchModelsResponse&) { return true; };
  EXPECT_EQ(client.WatchModels(absl::Minutes(1), ignore),
            absl::UnavailableError("shutting down"));
  EXPECT_THAT(server.control_calls(), SizeIs(1));
  server.ScriptWatch({}, down);
  EXPECT_EQ(client.WatchModels(absl::Minutes(1), ignore),
            absl::UnavailableError("shutting down"));
  EXPECT_THAT(server.control_calls(),
              SizeIs(1 + QuickRetries().retry.max_attempts));
}

TEST(ImageClientTest, TakesAWatchThatEndsByItselfForBroken) {
  FakeImageServer server;
  server.ScriptWatch(WatchEvents(), grpc::Status::OK);
  const ImageClient client(server.address(), QuickRetries());
  EXPECT_TRUE(absl::IsDataLoss(client.WatchModels(
      absl::Minutes(1), [](const v1::WatchModelsResponse&) { return true; })));
}

TEST(ImageClientTest, ListsModelsAndChecksHealth) {
  FakeImageServer server;
  const ImageClient client(server.address(), QuickRetries());
  EXPECT_EQ(client.ListModels().value().models(0).name(),
            FakeImageServer::kModel);
  EXPECT_EQ(client.CheckHealth("").value(), HealthResponse::SERVING);
  server.SetServing(false);
  EXPECT_EQ(client.CheckHealth("").value(), HealthResponse::NOT_SERVING);
  EXPECT_EQ(client.CheckHealth("no.such.Service").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ImageClientTest, ACallThatWaitsForTheServerCanBeCancelled) {
  FakeImageServer server;
  server.HoldReplies();
  ImageClient::Options options = QuickRetries();
  options.timeout = absl::InfiniteDuration();
  options.cancellation = std::make_shared<CallCancellation>();
  std::thread canceller([&] {
    server.AwaitRequests(1);
    options.cancellation->Cancel();
  });
  const ImageClient client(server.address(), options);
  EXPECT_EQ(client.Generate(Raw8Request(1)).status().code(),
            absl::StatusCode::kCancelled);
  canceller.join();
  // And so do those that come later.
  EXPECT_EQ(client.Generate(Raw8Request(1)).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(ImageClientTest, ACallThatWaitsForARetryCanBeCancelled) {
  FakeImageServer server;
  server.FailNext({grpc::Status(grpc::RESOURCE_EXHAUSTED, "full"), "50000"});
  ImageClient::Options options;
  options.timeout = absl::InfiniteDuration();
  options.cancellation = std::make_shared<CallCancellation>();
  options.on_retry = [&](const absl::Status&, absl::Duration delay) {
    EXPECT_GE(delay, absl::Seconds(50));
    options.cancellation->Cancel();
  };
  const ImageClient client(server.address(), options);
  EXPECT_EQ(client.Generate(Raw8Request(1)).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(server.requests().size(), 1u);
}

}  // namespace
}  // namespace ddgan

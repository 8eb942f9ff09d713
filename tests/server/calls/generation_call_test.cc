// Calls that make images, seen from outside: the whole server on ports of the
// system's choice, with an engine that draws without a model.
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <malloc.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/v2.grpc.pb.h"
#include "server/calls/reply_size.h"
#include "tests/fakes/fake_engine.h"
#include "tests/server/kserve/infer_requests.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

constexpr ImageShape kLarge = {3, 512, 512};

v1::GenerateRequest RawRequestFor(uint32_t count) {
  v1::GenerateRequest request;
  request.set_count(count);
  request.set_seed(7);
  request.set_format(v1::OUTPUT_FORMAT_RAW8);
  return request;
}

v1::GenerateRequest GuidedRequestFor(uint32_t count) {
  v1::GenerateRequest request = RawRequestFor(count);
  request.mutable_guide()->set_png(
      *EncodePng(std::vector<uint8_t>(6), {3, 1, 2}));
  request.mutable_guide()->set_steps(2);
  request.mutable_guide()->set_fit(v1::GUIDE_FIT_RESIZE);
  return request;
}

// Adds fields that no message has: 30 KB on the wire, and at least kManyBytes
// once they are parsed.
constexpr int kManyFields = 10'000;
constexpr int64_t kManyBytes =
    kManyFields * static_cast<int64_t>(sizeof(google::protobuf::UnknownField) +
                                       sizeof(std::string));
void AddManyFields(google::protobuf::Message* message) {
  for (int i = 0; i < kManyFields; ++i) {
    message->GetReflection()->MutableUnknownFields(message)->AddLengthDelimited(
        100, "");
  }
}

// Each test starts the server with images of its own size.
class GenerationCallTest : public ServerTest {
 protected:
  void SetUp() override {}

  // The value of a metric without labels, or of one series.
  int64_t Metric(const std::string& series) {
    const std::string text = Get("/metrics")->body;
    const std::string start = absl::StrCat("\n", series, " ");
    const size_t at = text.find(start);
    if (at == std::string::npos) return -1;
    const size_t value = at + start.size();
    double number = -1;
    EXPECT_TRUE(absl::SimpleAtod(
        text.substr(value, text.find('\n', value) - value), &number));
    return static_cast<int64_t>(number);
  }

  // Looks until `condition` holds; false if it never does.
  template <typename Condition>
  static bool Becomes(Condition condition) {
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    while (!condition()) {
      if (absl::Now() > give_up) return false;
      std::this_thread::yield();
    }
    return true;
  }
};

TEST_F(GenerationCallTest, ASwapToImagesOfAnotherSizeFailsNoCall) {
  StartServer({1, 8, 8});
  std::atomic<bool> over = false;
  std::thread swapper([this, &over] {
    for (int64_t version = 4; !over; ++version) {
      const int side = version % 2 == 0 ? 16 : 8;
      engine_->GoLive(version, {1, side, side});
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([this, guided = caller % 2 == 0] {
      for (int i = 0; i < 50; ++i) {
        grpc::ClientContext context;
        v1::GenerateResponse response;
        const grpc::Status status = images_->Generate(
            &context, guided ? GuidedRequestFor(2) : RawRequestFor(2),
            &response);
        ASSERT_TRUE(status.ok()) << status.error_message();
        const uint32_t side = response.version() % 2 == 0 ? 16 : 8;
        EXPECT_EQ(response.shape().width(), side);
        EXPECT_EQ(response.images(1).data().size(), side * side);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  over = true;
  swapper.join();
}

TEST_F(GenerationCallTest, ACallKeepsTheVersionThatItWasAdmittedFor) {
  StartServer({1, 8, 8});
  engine_->StallGuided();
  grpc::Status status;
  v1::GenerateResponse response;
  std::thread caller([this, &status, &response] {
    grpc::ClientContext context;
    status = images_->Generate(&context, GuidedRequestFor(1), &response);
  });
  engine_->WaitForStalled();
  engine_->GoLive(4, {3, 16, 16});
  engine_->Resume();
  caller.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.version(), 3);
  EXPECT_EQ(response.images(0).data().size(), 64u);
}

TEST_F(GenerationCallTest, AGuideWhoseCallerLeavesIsGoneBeforeItsTurn) {
  StartServer({1, 8, 8});
  engine_->StallGuided();
  std::thread first([this] {
    grpc::ClientContext context;
    v1::GenerateResponse response;
    EXPECT_TRUE(
        images_->Generate(&context, GuidedRequestFor(1), &response).ok());
  });
  engine_->WaitForStalled();  // On the decoder's only thread.
  grpc::ClientContext context;
  std::thread second([this, &context] {
    v1::GenerateResponse response;
    EXPECT_EQ(images_->Generate(&context, GuidedRequestFor(1), &response)
                  .error_code(),
              grpc::StatusCode::CANCELLED);
  });
  EXPECT_TRUE(Becomes([this] { return engine_->places() == 1; }));
  context.TryCancel();
  second.join();
  EXPECT_TRUE(Becomes([this] {
    return Metric(
               "ddgan_requests_total{code=\"CANCELLED\","
               "method=\"Generate\",model=\"\"}") == 1;
  }));
  EXPECT_EQ(engine_->places(), 0);
  EXPECT_EQ(engine_->stalled(), 1);
  engine_->Resume();
  first.join();
}

TEST_F(GenerationCallTest, AGuideOutOfTimeIsGoneBeforeItsTurn) {
  StartServer({1, 8, 8});
  engine_->StallGuided();
  std::thread first([this] {
    grpc::ClientContext context;
    v1::GenerateResponse response;
    EXPECT_TRUE(
        images_->Generate(&context, GuidedRequestFor(1), &response).ok());
  });
  engine_->WaitForStalled();
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
  v1::GenerateResponse response;
  EXPECT_EQ(
      images_->Generate(&context, GuidedRequestFor(1), &response).error_code(),
      grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Becomes([this] {
    return Metric(
               "ddgan_requests_total{code=\"DEADLINE_EXCEEDED\","
               "method=\"Generate\",model=\"\"}") == 1;
  }));
  EXPECT_EQ(engine_->places(), 0);
  EXPECT_EQ(engine_->stalled(), 1);
  engine_->Resume();
  first.join();
}

TEST_F(GenerationCallTest, AnImageOfAStreamThatIsReadGivesItsBytesBack) {
  StartServer(kLarge);
  engine_->HoldRequests();
  v1::GenerateStreamRequest request;
  *request.mutable_request() = RawRequestFor(4);
  const ReplySize size =
      LargestStream(kLarge, v1::OUTPUT_FORMAT_RAW8,
                    static_cast<int64_t>(v1::Guide().SpaceUsedLong()), false);
  grpc::ClientContext context;
  const auto reader = images_->GenerateStream(&context, request);
  v1::GenerateStreamResponse event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_TRUE(event.has_accepted());
  EXPECT_EQ(Metric("ddgan_reply_bytes"), size.Of(4));
  engine_->DeliverHeld(engine_->WaitForHeld(1).front(), 0);
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_TRUE(event.has_image());
  EXPECT_TRUE(
      Becomes([&] { return Metric("ddgan_reply_bytes") == size.Of(3); }));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Becomes([&] { return Metric("ddgan_reply_bytes") == 0; }));
}

// gRPC itself would keep it until the call is done, and fields that nobody
// reads with it. With a sanitizer the allocator has no figures, and nothing is
// tested.
TEST_F(GenerationCallTest, OfARequestNothingIsKeptThatIsNotNeeded) {
  StartServer({1, 8, 8});
  engine_->HoldRequests();
  // A call adds little to the heap while the engine holds it.
  const auto expect_little_kept = [this](auto call) {
    const auto before = static_cast<int64_t>(mallinfo2().uordblks);
    grpc::ClientContext context;
    std::thread caller([&call, &context] {
      EXPECT_EQ(call(&context).error_code(), grpc::StatusCode::CANCELLED);
    });
    engine_->WaitForHeld(1);
    // The thread that submitted it may not have returned yet.
    EXPECT_TRUE(Becomes([before] {
      return static_cast<int64_t>(mallinfo2().uordblks) - before <
             kManyBytes / 2;
    }));
    context.TryCancel();
    caller.join();
    EXPECT_TRUE(Becomes([this] { return Metric("ddgan_reply_bytes") == 0; }));
  };

  v1::GenerateRequest request = RawRequestFor(1);
  AddManyFields(&request);
  expect_little_kept([&](grpc::ClientContext* context) {
    v1::GenerateResponse response;
    return images_->Generate(context, request, &response);
  });

  v1::GenerateStreamRequest stream_request;
  *stream_request.mutable_request() = RawRequestFor(1);
  AddManyFields(&stream_request);
  expect_little_kept([&](grpc::ClientContext* context) {
    const auto reader = images_->GenerateStream(context, stream_request);
    v1::GenerateStreamResponse event;
    while (reader->Read(&event)) {
    }
    return reader->Finish();
  });

  inference::ModelInferRequest infer_request = InferRequestFor({7});
  AddManyFields(&infer_request);
  const auto infer_stub = inference::GRPCInferenceService::NewStub(channel_);
  expect_little_kept([&](grpc::ClientContext* context) {
    inference::ModelInferResponse response;
    return infer_stub->ModelInfer(context, infer_request, &response);
  });
}

TEST_F(GenerationCallTest, AGuideIsBooked) {
  StartServer({1, 8, 8});
  engine_->HoldRequests();
  v1::GenerateRequest request = GuidedRequestFor(1);
  v1::GenerateResponse response;
  grpc::ClientContext context;
  std::thread caller([&] { images_->Generate(&context, request, &response); });
  engine_->WaitForHeld(1);
  EXPECT_GE(Metric("ddgan_reply_bytes"),
            LargestReply({1, 8, 8}, {v1::OUTPUT_FORMAT_RAW8},
                         static_cast<int64_t>(request.guide().png().size()))
                .Of(1));
  context.TryCancel();
  caller.join();
}

TEST_F(GenerationCallTest, AReplyThatTurnsOutSmallerHoldsNoMoreThanItIs) {
  StartServer(kLarge);
  const v1::GenerateRequest request = RawRequestFor(4);
  const ReplySize size =
      LargestReply(kLarge, {v1::OUTPUT_FORMAT_RAW8},
                   static_cast<int64_t>(v1::Guide().SpaceUsedLong()));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return ok;
  };
  const auto call = grpc::GenericStub(channel_).PrepareCall(
      &context, "/ddgan.v1.ImageGeneration/Generate", &queue);
  grpc::Slice slice(request.SerializeAsString());
  call->StartCall(nullptr);
  wait();
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  wait();
  // The reply is not read yet.
  int64_t unread = 0;
  EXPECT_TRUE(Becomes([&] {
    unread = Metric("ddgan_reply_bytes");
    return unread > 0 && unread < size.Of(4);
  }));
  grpc::ByteBuffer received;
  call->Read(&received, nullptr);
  ASSERT_TRUE(wait());
  EXPECT_EQ(unread, size.fixed + 2 * static_cast<int64_t>(received.Length()));
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(Becomes([&] { return Metric("ddgan_reply_bytes") == 0; }));
}

}  // namespace
}  // namespace ddgan

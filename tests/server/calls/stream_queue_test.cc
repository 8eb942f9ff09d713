#include "server/calls/stream_queue.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// An event in short: "image 3", "preview 3 at 2".
std::string Describe(const v1::GenerateStreamResponse& event) {
  switch (event.event_case()) {
    case v1::GenerateStreamResponse::kAccepted:
      return "accepted";
    case v1::GenerateStreamResponse::kPreview:
      return absl::StrCat("preview ", event.preview().index(), " at ",
                          event.preview().step());
    case v1::GenerateStreamResponse::kImage:
      return absl::StrCat("image ", event.image().index());
    case v1::GenerateStreamResponse::kSummary:
      return absl::StrCat("summary ", event.summary().images(), " ",
                          event.summary().previews_sent(), " ",
                          event.summary().previews_dropped());
    case v1::GenerateStreamResponse::EVENT_NOT_SET:
      break;
  }
  return "nothing";
}

class StreamQueueTest : public ::testing::Test {
 protected:
  void AddPreview(uint32_t index, int step) {
    StreamQueue::Preview preview;
    preview.x0.index = index;
    preview.step = step;
    queue_.AddPreview(std::move(preview));
  }

  void AddImage(uint32_t index) {
    v1::GeneratedImage image;
    image.set_index(index);
    queue_.AddImage(std::move(image));
  }

  // The preview that is now to be encoded, as "3 at 2"; "" if none is.
  std::string Take() {
    if (!queue_.ScheduleEncoding()) return "";
    std::optional<StreamQueue::Preview> preview = queue_.TakeToEncode();
    if (!preview.has_value()) return "";
    return absl::StrCat(preview->x0.index, " at ", preview->step);
  }

  void AddEncoded(uint32_t index, uint32_t step) {
    v1::StreamPreview preview;
    preview.set_index(index);
    preview.set_step(step);
    queue_.AddEncodedPreview(std::move(preview));
  }

  // Encodes what is to be encoded, at once.
  void EncodeAll() {
    while (queue_.ScheduleEncoding()) {
      const std::optional<StreamQueue::Preview> preview = queue_.TakeToEncode();
      if (!preview.has_value()) return;
      AddEncoded(preview->x0.index, preview->step);
    }
  }

  // Begins a write and leaves it pending.
  std::string Write() {
    const std::optional<v1::GenerateStreamResponse> event = queue_.Next();
    return event.has_value() ? Describe(*event) : "";
  }

  // What a fast reader gets from now on.
  std::vector<std::string> WriteAll() {
    std::vector<std::string> events;
    while (true) {
      EncodeAll();
      const std::string event = Write();
      if (event.empty()) return events;
      events.push_back(event);
      queue_.WriteDone();
    }
  }

  StreamQueue queue_;
};

TEST_F(StreamQueueTest, SendsAcceptedFirstWhateverCameBefore) {
  AddImage(0);
  AddPreview(1, 3);
  EXPECT_THAT(WriteAll(), IsEmpty());
  queue_.Accept({});
  EXPECT_THAT(WriteAll(), ElementsAre("accepted", "image 0", "preview 1 at 3"));
}

TEST_F(StreamQueueTest, WritesOneEventAtATime) {
  queue_.Accept({});
  AddImage(0);
  EXPECT_EQ(Write(), "accepted");
  EXPECT_EQ(Write(), "");
  queue_.WriteDone();
  EXPECT_EQ(Write(), "image 0");
}

TEST_F(StreamQueueTest, SendsAFastReaderEveryPreview) {
  queue_.Accept({});
  std::vector<std::string> events = WriteAll();
  for (int step : {2, 1}) {
    for (uint32_t index : {7, 8}) AddPreview(index, step);
    for (std::string& event : WriteAll()) events.push_back(event);
  }
  AddImage(8);
  AddImage(7);
  queue_.End(v1::StreamSummary());
  for (std::string& event : WriteAll()) events.push_back(event);
  EXPECT_THAT(events,
              ElementsAre("accepted", "preview 7 at 2", "preview 8 at 2",
                          "preview 7 at 1", "preview 8 at 1", "image 8",
                          "image 7", "summary 2 4 0"));
  EXPECT_TRUE(queue_.Drained());
}

TEST_F(StreamQueueTest, ANewerPreviewReplacesOneThatWaitsUnencoded) {
  queue_.Accept({});
  EXPECT_EQ(Write(), "accepted");  // Pending from here on.
  AddPreview(0, 3);
  AddPreview(1, 3);
  EXPECT_EQ(Take(), "0 at 3");
  EXPECT_EQ(Take(), "");  // One ahead is enough.
  AddPreview(1, 2);
  EXPECT_EQ(queue_.previews_dropped(), 1);
  AddEncoded(0, 3);
  queue_.WriteDone();
  EXPECT_THAT(WriteAll(), ElementsAre("preview 0 at 3", "preview 1 at 2"));
}

TEST_F(StreamQueueTest, ANewerPreviewReplacesOneThatWaitsEncoded) {
  queue_.Accept({});
  EXPECT_EQ(Write(), "accepted");
  AddPreview(0, 3);
  EncodeAll();
  AddPreview(0, 2);
  EXPECT_EQ(queue_.previews_dropped(), 1);
  queue_.WriteDone();
  EXPECT_THAT(WriteAll(), ElementsAre("preview 0 at 2"));
}

TEST_F(StreamQueueTest, APreviewThatWasOvertakenWhileItWasEncodedIsStillSent) {
  queue_.Accept({});
  WriteAll();
  AddPreview(0, 3);
  EXPECT_EQ(Take(), "0 at 3");
  AddPreview(0, 2);
  AddEncoded(0, 3);
  EXPECT_EQ(Write(), "preview 0 at 3");
  EXPECT_EQ(queue_.previews_dropped(), 0);
}

TEST_F(StreamQueueTest, ButNotIfItWouldHaveToWait) {
  queue_.Accept({});
  EXPECT_EQ(Write(), "accepted");
  AddPreview(0, 3);
  EXPECT_EQ(Take(), "0 at 3");
  AddPreview(0, 2);
  AddEncoded(0, 3);
  EXPECT_EQ(queue_.previews_dropped(), 1);
  EXPECT_EQ(Take(), "0 at 2");
}

TEST_F(StreamQueueTest, AnImageIsNeverFollowedByAPreviewOfIt) {
  queue_.Accept({});
  EXPECT_EQ(Write(), "accepted");
  AddPreview(0, 3);
  AddPreview(1, 3);
  AddPreview(2, 3);
  EXPECT_EQ(Take(), "0 at 3");
  AddImage(0);  // While its preview is being encoded.
  AddEncoded(0, 3);
  EXPECT_EQ(Take(), "1 at 3");
  AddEncoded(1, 3);
  AddImage(1);  // While its preview waits encoded.
  for (const char* event : {"image 0", "image 1", ""}) {
    queue_.WriteDone();
    EXPECT_EQ(Write(), event);
  }
  AddImage(2);  // While its preview waits unencoded.
  queue_.End(v1::StreamSummary());
  EXPECT_THAT(WriteAll(), ElementsAre("image 2", "summary 3 0 3"));
}

TEST_F(StreamQueueTest, AReaderThatReadsNothingLosesPreviewsAndNoImage) {
  queue_.Accept({});
  EXPECT_EQ(Write(), "accepted");
  for (int step : {3, 2, 1}) {
    for (uint32_t index : {0, 1, 2}) {
      AddPreview(index, step);
      EncodeAll();
    }
  }
  for (uint32_t index : {0, 1, 2}) AddImage(index);
  queue_.End(v1::StreamSummary());
  EXPECT_FALSE(queue_.Drained());
  queue_.WriteDone();
  EXPECT_THAT(WriteAll(),
              ElementsAre("image 0", "image 1", "image 2", "summary 3 0 9"));
}

TEST_F(StreamQueueTest, EncodesAnotherPreviewIfTheScheduledOneIsGone) {
  queue_.Accept({});
  WriteAll();
  AddPreview(0, 3);
  EXPECT_TRUE(queue_.ScheduleEncoding());
  AddImage(0);
  EXPECT_FALSE(queue_.TakeToEncode().has_value());
  AddPreview(1, 3);
  EXPECT_EQ(Take(), "1 at 3");
}

TEST_F(StreamQueueTest, AFailureStillSendsTheImagesThatAreDone) {
  queue_.Accept({});
  EXPECT_EQ(Write(), "accepted");
  AddImage(0);
  AddPreview(1, 3);
  EncodeAll();
  AddPreview(2, 3);
  queue_.End(std::nullopt);
  EXPECT_EQ(queue_.previews_dropped(), 2);
  EXPECT_FALSE(queue_.Drained());
  queue_.WriteDone();
  EXPECT_THAT(WriteAll(), ElementsAre("image 0"));
  EXPECT_TRUE(queue_.Drained());
}

TEST_F(StreamQueueTest, ARefusedCallIsDrainedAtOnce) {
  queue_.End(std::nullopt);
  EXPECT_EQ(Write(), "");
  EXPECT_TRUE(queue_.Drained());
}

// An image that another call had made may come before the engine refuses the
// others.
TEST_F(StreamQueueTest, ARefusedCallIsDrainedWhateverImagesCameBefore) {
  AddImage(0);
  queue_.End(std::nullopt);
  EXPECT_EQ(Write(), "");
  EXPECT_TRUE(queue_.Drained());
}

TEST_F(StreamQueueTest, AnAbandonedCallWaitsForItsWriteAlone) {
  queue_.Accept({});
  AddImage(0);
  AddPreview(1, 3);
  EXPECT_EQ(Write(), "accepted");
  queue_.Abandon();
  EXPECT_FALSE(queue_.ScheduleEncoding());
  AddImage(1);
  queue_.End(v1::StreamSummary());
  EXPECT_FALSE(queue_.Drained());
  queue_.WriteDone();
  EXPECT_EQ(Write(), "");
  EXPECT_TRUE(queue_.Drained());
  EXPECT_EQ(queue_.previews_dropped(), 0);
}

}  // namespace
}  // namespace ddgan

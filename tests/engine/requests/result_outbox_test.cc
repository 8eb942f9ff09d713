#include "engine/requests/result_outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/recording_sink.h"

namespace ddgan {
namespace {

GeneratedImage Image(uint32_t index) {
  GeneratedImage image;
  image.index = index;
  return image;
}

TEST(ResultOutboxTest, DeliversInOrderWithTheEndLast) {
  const auto sink = std::make_shared<RecordingSink>();
  ResultOutbox outbox(sink, 4);
  EXPECT_FALSE(outbox.Deliver());
  outbox.PostImage(Image(1));
  outbox.PostImage(Image(0));
  EXPECT_FALSE(outbox.Deliver());
  EXPECT_EQ(sink->images().size(), 2);
  outbox.PostImage(Image(2));
  outbox.PostFinish(absl::OkStatus(), {absl::Seconds(1), absl::Seconds(2)});
  EXPECT_TRUE(outbox.Deliver());
  ASSERT_EQ(sink->images().size(), 3);
  EXPECT_EQ(sink->images()[0].index, 1);
  EXPECT_EQ(sink->images()[2].index, 2);
  EXPECT_EQ(sink->timings().steps, absl::Seconds(2));
  EXPECT_FALSE(outbox.Deliver());
}

TEST(ResultOutboxTest, LetsTheSinkGoOnceItHasTheEnd) {
  auto sink = std::make_shared<RecordingSink>();
  const std::weak_ptr<RecordingSink> watch = sink;
  ResultOutbox outbox(std::move(sink), 1);
  outbox.PostFinish(absl::CancelledError(""), {});
  EXPECT_FALSE(watch.expired());
  outbox.Deliver();
  EXPECT_TRUE(watch.expired());
}

TEST(ResultOutboxTest, WhatASinkCausesToBePostedComesAfterItsCall) {
  struct PostingSink : RecordingSink {
    void OnImage(GeneratedImage image) override {
      const bool first = image.index == 0;
      if (first) {
        outbox->PostImage(Image(1));
        EXPECT_FALSE(outbox->Deliver());  // This call delivers already.
      }
      RecordingSink::OnImage(std::move(image));
    }
    ResultOutbox* outbox = nullptr;
  };
  const auto sink = std::make_shared<PostingSink>();
  ResultOutbox outbox(sink, 4);
  sink->outbox = &outbox;
  outbox.PostImage(Image(0));
  outbox.Deliver();
  ASSERT_EQ(sink->images().size(), 2);
  EXPECT_EQ(sink->images()[0].index, 0);
}

TEST(ResultOutboxTest, ManyThreadsDeliverEachResultOnce) {
  constexpr int kThreads = 4;
  constexpr int kImages = 200;
  const auto sink = std::make_shared<RecordingSink>();
  ResultOutbox outbox(sink, 4);
  std::atomic<int> ends = 0;
  std::atomic<int> posting = kThreads;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (uint32_t i = 0; i < kImages; ++i) {
        outbox.PostImage(Image(i));
        if (outbox.Deliver()) ++ends;
      }
      if (--posting == 0) outbox.PostFinish(absl::OkStatus(), {});
      if (outbox.Deliver()) ++ends;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(sink->images().size(), kThreads * kImages);
  EXPECT_TRUE(sink->finished());
}

}  // namespace
}  // namespace ddgan

// Runs against a fake server. All are bounded by a number of calls, and
// whatever they wait for is something that they made happen.
#include "client/load_generator/load_run.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/load_generator/call_record.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_image_server.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class LoadRunTest : public ::testing::Test {
 protected:
  LoadRunTest() {
    options_.warmup = absl::ZeroDuration();
    options_.duration = absl::InfiniteDuration();
  }

  // A burst: all are due within a few milliseconds.
  void OpenLoop(uint64_t calls) {
    options_.rate = 100'000.0;
    options_.calls = calls;
  }

  void ClosedLoop(uint32_t concurrency, uint64_t calls) {
    options_.concurrency = concurrency;
    options_.calls = calls;
  }

  LoadReport Run() {
    return LoadRun(*CreateLoadChannel(server_.address()), options_, standalone_)
        .Run();
  }

  // As Run, on another thread. `during` runs on this one.
  template <typename Function>
  LoadReport RunWhile(const Function& during) {
    LoadRun run(*CreateLoadChannel(server_.address()), options_, standalone_);
    LoadReport report;
    std::thread thread([&] { report = run.Run(); });
    during(run);
    thread.join();
    return report;
  }

  void FailNext(grpc::StatusCode code, int times) {
    for (int i = 0; i < times; ++i) {
      server_.FailNext({grpc::Status(code, "told to"), "10"});
    }
  }

  FakeImageServer server_;
  LoadOptions options_;
  std::map<uint32_t, absl::Duration> standalone_;
};

TEST_F(LoadRunTest, AsksForWhatTheMixSaysAndCountsIt) {
  ClosedLoop(2, 40);
  options_.mix.counts = {{2}, {5}};
  options_.mix.classes = {{v1::REQUEST_CLASS_BATCH}};
  options_.mix.client_ids = 2;
  options_.request.set_model(FakeImageServer::kModel);
  options_.request.set_format(v1::OUTPUT_FORMAT_RAW8);
  const LoadReport report = Run();
  EXPECT_EQ(report.calls.scheduled, 40u);
  EXPECT_EQ(report.calls.ok, 40u);
  EXPECT_THAT(report.versions,
              ElementsAre(Pair(FakeImageServer::kVersion, 40)));
  EXPECT_GT(report.latencies[0].p50, absl::ZeroDuration());
  uint64_t images = 0;
  for (const v1::GenerateRequest& request : server_.requests()) {
    EXPECT_THAT(request.count(), ::testing::AnyOf(2, 5));
    EXPECT_EQ(request.request_class(), v1::REQUEST_CLASS_BATCH);
    EXPECT_EQ(request.format(), v1::OUTPUT_FORMAT_RAW8);
    images += request.count();
  }
  uint64_t counted = 0;
  for (const WindowRow& window : report.windows) counted += window.images;
  EXPECT_EQ(counted, images);
  const std::vector<std::string> ids = server_.client_ids();
  EXPECT_THAT(ids, SizeIs(40));
  EXPECT_THAT(std::set<std::string>(ids.begin(), ids.end()),
              UnorderedElementsAre("bench-0", "bench-1"));
}

TEST_F(LoadRunTest, SendsTheSameCallsAgainForTheSameSeed) {
  ClosedLoop(1, 10);
  options_.mix.counts = *ParseCounts("1-64");
  Run();
  Run();
  const std::vector<v1::GenerateRequest> requests = server_.requests();
  ASSERT_THAT(requests, SizeIs(20));
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(requests[i].SerializeAsString(),
              requests[i + 10].SerializeAsString());
  }
  EXPECT_NE(requests[0].seed(), requests[1].seed());
}

TEST_F(LoadRunTest, CountsEveryErrorAndRetriesNone) {
  OpenLoop(50);
  FailNext(grpc::StatusCode::RESOURCE_EXHAUSTED, 7);
  FailNext(grpc::StatusCode::UNAVAILABLE, 5);
  FailNext(grpc::StatusCode::CANCELLED, 3);
  FailNext(grpc::StatusCode::DEADLINE_EXCEEDED, 2);
  const LoadReport report = Run();
  EXPECT_EQ(report.calls.scheduled, 50u);
  EXPECT_EQ(report.calls.ok, 33u);
  EXPECT_EQ(report.calls.refused, 9u);
  EXPECT_EQ(report.calls.failed, 8u);
  EXPECT_EQ(report.calls.cancelled, 0u);
  EXPECT_THAT(
      report.errors,
      ElementsAre(Pair("CANCELLED", 3), Pair("DEADLINE_EXCEEDED", 2),
                  Pair("RESOURCE_EXHAUSTED", 7), Pair("UNAVAILABLE", 5)));
  EXPECT_EQ(report.latencies.back().group, "refused");
  EXPECT_EQ(report.latencies.back().calls, 9u);
  EXPECT_THAT(server_.requests(), SizeIs(50));
}

TEST_F(LoadRunTest, CountsAReplyThatLacksImagesAsAnError) {
  ClosedLoop(1, 3);
  options_.mix.counts = {{4}};
  server_.set_tamper([](v1::GenerateResponse* reply) {
    reply->mutable_images()->RemoveLast();
  });
  EXPECT_THAT(Run().errors, ElementsAre(Pair("DATA_LOSS", 3)));
}

TEST_F(LoadRunTest, CountsAServerThatIsNotThere) {
  ClosedLoop(1, 3);
  LoadRun run(*CreateLoadChannel("127.0.0.1:1"), options_, {});
  EXPECT_THAT(run.Run().errors, ElementsAre(Pair("UNAVAILABLE", 3)));
}

TEST_F(LoadRunTest, OpenLoopKeepsSendingWhileTheServerHoldsItsReplies) {
  OpenLoop(30);
  server_.HoldReplies();
  const LoadReport report = RunWhile([&](const LoadRun& run) {
    server_.AwaitRequests(30);  // For ever, if it waited for a reply.
    EXPECT_EQ(run.progress().calls.ok, 0u);
    EXPECT_EQ(run.progress().outstanding, 30u);
    server_.ReleaseReplies();
  });
  EXPECT_EQ(report.calls.ok, 30u);
  EXPECT_EQ(report.calls.unsent, 0u);
}

TEST_F(LoadRunTest, ClosedLoopWaitsForItsReplies) {
  ClosedLoop(3, 12);
  server_.HoldReplies();
  const LoadReport report = RunWhile([&](const LoadRun& run) {
    server_.AwaitRequests(3);
    EXPECT_EQ(run.progress().outstanding, 3u);
    EXPECT_THAT(server_.requests(), SizeIs(3));
    server_.ReleaseReplies();
  });
  EXPECT_EQ(report.calls.ok, 12u);
}

TEST_F(LoadRunTest, CountsWhatItMayNotSendAsUnsent) {
  OpenLoop(30);
  options_.max_outstanding = 10;
  server_.HoldReplies();
  const LoadReport report = RunWhile([&](const LoadRun& run) {
    while (run.progress().calls.unsent < 20) std::this_thread::yield();
    server_.ReleaseReplies();
  });
  EXPECT_EQ(report.calls.scheduled, 30u);
  EXPECT_EQ(report.calls.ok, 10u);
  EXPECT_EQ(report.calls.unsent, 20u);
  EXPECT_THAT(server_.requests(), SizeIs(10));
}

TEST_F(LoadRunTest, CancelsCallsAndCountsThemAsCancelled) {
  OpenLoop(20);
  options_.mix.cancel = 1.0;
  standalone_[1] = absl::Milliseconds(20);
  server_.HoldReplies();  // Until after the run.
  const LoadReport report = Run();
  EXPECT_EQ(report.calls.scheduled, 20u);
  EXPECT_EQ(report.calls.cancelled, 20u);
  EXPECT_THAT(report.errors, SizeIs(0));
}

TEST_F(LoadRunTest, GivesUpACallWithoutAReply) {
  OpenLoop(3);
  options_.timeout = absl::Milliseconds(20);
  server_.HoldReplies();
  EXPECT_EQ(Run().calls.unanswered, 3u);
}

TEST_F(LoadRunTest, ADeadlineThatPassesIsNoRefusal) {
  OpenLoop(3);
  options_.mix.deadlines = {{absl::Milliseconds(30)}};
  server_.HoldReplies();
  const LoadReport report = Run();
  EXPECT_EQ(report.calls.failed, 3u);
  EXPECT_EQ(report.calls.refused, 0u);
  EXPECT_THAT(report.errors, ElementsAre(Pair("DEADLINE_EXCEEDED", 3)));
}

TEST_F(LoadRunTest, FindsAnImageWithOtherBytes) {
  ClosedLoop(1, 20);
  options_.mix.seed_pool = 2;
  options_.verify = true;
  const LoadReport good = Run();
  ASSERT_TRUE(good.verify.has_value());
  EXPECT_EQ(good.verify->compared, 18u);
  EXPECT_EQ(good.verify->mismatches, 0u);

  std::atomic<int> replies = 0;
  server_.set_tamper([&](v1::GenerateResponse* reply) {
    if (++replies == 20) reply->mutable_images(0)->mutable_data()->back() ^= 1;
  });
  EXPECT_EQ(Run().verify->mismatches, 1u);
}

TEST_F(LoadRunTest, RecordsEveryCallWhateverBecameOfIt) {
  OpenLoop(30);
  options_.mix.counts = {{2}};
  options_.mix.seed_pool = 3;
  options_.max_outstanding = 10;
  FailNext(grpc::StatusCode::UNAVAILABLE, 4);
  server_.HoldReplies();
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "calls.jsonl").string();
  const absl::Time before = absl::Now();
  {
    const auto recorder = CallRecorder::Open(path);
    ASSERT_TRUE(recorder.ok()) << recorder.status();
    LoadRun run(*CreateLoadChannel(server_.address()), options_, standalone_,
                recorder->get());
    std::thread thread([&] { run.Run(); });
    while (run.progress().calls.unsent < 20) std::this_thread::yield();
    server_.ReleaseReplies();
    thread.join();
    EXPECT_TRUE((*recorder)->Close().ok());
  }
  std::map<std::string, int> fates;
  std::map<std::string, std::set<std::string>> hashes;  // By seed.
  std::istringstream lines(ReadBytes(path));
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json call = nlohmann::json::parse(line);
    ++fates[call["fate"]];
    EXPECT_EQ(call["count"], 2);
    EXPECT_GE(call["ended"], call["due"]);
    EXPECT_NEAR(call["due_unix"].get<double>(), absl::ToUnixSeconds(before),
                60.0);
    if (call["fate"] == "ok") {
      EXPECT_EQ(call["model"], FakeImageServer::kModel);
      EXPECT_EQ(call["version"], FakeImageServer::kVersion);
      hashes[call["seed"]].insert(call["sha256"]);
    } else {
      EXPECT_TRUE(call["version"].is_null());
    }
    if (call["fate"] == "failed") {
      EXPECT_EQ(call["code"], "UNAVAILABLE");
    }
  }
  EXPECT_THAT(
      fates, ElementsAre(Pair("failed", 4), Pair("ok", 6), Pair("unsent", 20)));
  for (const auto& [seed, of_seed] : hashes) EXPECT_THAT(of_seed, SizeIs(1));
}

TEST_F(LoadRunTest, StoppedItSendsNoMoreAndCountsWhatItSent) {
  ClosedLoop(2, 1'000'000);
  server_.HoldReplies();
  const LoadReport report = RunWhile([&](LoadRun& run) {
    server_.AwaitRequests(2);
    run.Stop();
    server_.ReleaseReplies();
  });
  EXPECT_EQ(report.calls.ok, 2u);
  EXPECT_EQ(report.calls.scheduled, 2u);
}

TEST_F(LoadRunTest, EndsWithItsDuration) {
  options_.concurrency = 1;
  options_.duration = absl::Milliseconds(200);
  const LoadReport report = Run();
  EXPECT_EQ(report.measured, options_.duration);
  EXPECT_GT(report.calls.ok, 0u);
  EXPECT_EQ(report.calls.ok, report.calls.scheduled);
}

}  // namespace
}  // namespace ddgan

#include "engine/versions/report_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace ddgan {
namespace {

using ::testing::ElementsAre;

TEST(ReportQueueTest, CallsNothingBeforeItDeliversAndThenInOrder) {
  ReportQueue queue;
  std::vector<int> told;
  for (const int i : {1, 2, 3}) queue.Post([&told, i] { told.push_back(i); });
  EXPECT_TRUE(told.empty());
  queue.Deliver();
  EXPECT_THAT(told, ElementsAre(1, 2, 3));
  queue.Deliver();
  EXPECT_THAT(told, ElementsAre(1, 2, 3));
}

TEST(ReportQueueTest, AReportMayPostDeliverAndWaitForAnotherThreadThatDoes) {
  ReportQueue queue;
  std::vector<int> told;
  queue.Post([&] {
    told.push_back(1);
    queue.Post([&] { told.push_back(2); });
    queue.Deliver();
    std::thread other([&] {
      queue.Post([&] { told.push_back(3); });
      queue.Deliver();
    });
    other.join();
    told.push_back(0);  // Nothing was told amid this report.
  });
  queue.Deliver();
  EXPECT_THAT(told, ElementsAre(1, 0, 2, 3));
}

}  // namespace
}  // namespace ddgan

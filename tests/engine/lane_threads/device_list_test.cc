#include "engine/lane_threads/device_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan {
namespace {

// "name/device/threads ..." or the error.
std::string Parse(const std::string& devices, int threads = 4, int cuda = 0) {
  const auto lanes = ParseDevices(devices, threads, cuda);
  if (!lanes.ok()) return std::string(lanes.status().message());
  return absl::StrJoin(*lanes, " ", [](std::string* out, const LaneDevice& d) {
    absl::StrAppend(out, d.name, "/", d.device, "/", d.cpu_threads);
  });
}

TEST(DeviceListTest, AutoTakesEveryGpuOrElseOneCpuLane) {
  EXPECT_EQ(Parse("auto"), "cpu/cpu/4");
  EXPECT_EQ(Parse("auto", 4, 2), "cuda:0/cuda:0/0 cuda:1/cuda:1/0");
}

TEST(DeviceListTest, CpuLanesSplitTheThreads) {
  EXPECT_EQ(Parse("cpu"), "cpu/cpu/4");
  EXPECT_EQ(Parse("cpu:1"), "cpu/cpu/4");
  EXPECT_EQ(Parse("cpu:3"), "cpu:0/cpu/2 cpu:1/cpu/1 cpu:2/cpu/1");
  EXPECT_EQ(Parse("cpu:2", 1), "cpu:0/cpu/1 cpu:1/cpu/1");
}

TEST(DeviceListTest, GpusAreNamedOneByOne) {
  EXPECT_EQ(Parse("cuda:1,cuda:0", 4, 2), "cuda:1/cuda:1/0 cuda:0/cuda:0/0");
}

TEST(DeviceListTest, ThreadsAreBoundLaneByLane) {
  std::vector<LaneDevice> lanes = *ParseDevices("cpu:2", 3, 0);
  ASSERT_TRUE(BindThreads({1, 4, 5, 7}, &lanes).ok());
  EXPECT_EQ(lanes[0].cpus, (std::vector<int>{1, 4}));
  EXPECT_EQ(lanes[1].cpus, std::vector<int>{5});
  EXPECT_EQ(BindThreads({0, 1}, &lanes),
            absl::FailedPreconditionError(
                "cpu_affinity asks for a CPU for each of the 3 CPU threads; "
                "the process may use 2 CPUs"));
}

TEST(DeviceListTest, WhatIsNoDeviceIsNamed) {
  using ::testing::HasSubstr;
  for (const char* devices : {"", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1",
                              "cpu:x", "cpu,cpu", "cuda:0,", "cpu:2,cuda:0"}) {
    EXPECT_THAT(Parse(devices, 4, 1), HasSubstr("is no device")) << devices;
  }
  EXPECT_THAT(Parse("cpu:0"), HasSubstr("no number of CPU lanes"));
  EXPECT_THAT(Parse("cpu:65"), HasSubstr("N from 1 to 64"));
  EXPECT_THAT(Parse("cuda:1", 4, 1),
              HasSubstr("there is no cuda:1, CUDA devices here: 1"));
  EXPECT_THAT(Parse("cuda:0,cuda:0", 4, 1), HasSubstr("cuda:0 stands twice"));
}

}  // namespace
}  // namespace ddgan

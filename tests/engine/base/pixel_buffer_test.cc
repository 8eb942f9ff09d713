#include "engine/base/pixel_buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::Span<const uint8_t> Bytes(const PixelBuffer& buffer) { return buffer; }

TEST(PixelBufferTest, HoldsACopyOfBytes) {
  std::vector<uint8_t> bytes = {1, 2, 3};
  PixelBuffer buffer(bytes);
  bytes[0] = 9;
  EXPECT_THAT(Bytes(buffer), ElementsAre(1, 2, 3));
  EXPECT_THAT(Bytes(PixelBuffer()), IsEmpty());
}

TEST(PixelBufferTest, WhatWasMovedAwayIsEmpty) {
  const std::vector<uint8_t> bytes = {1, 2, 3};
  PixelBuffer from(bytes);
  PixelBuffer to = std::move(from);
  EXPECT_THAT(Bytes(to), ElementsAre(1, 2, 3));
  EXPECT_THAT(Bytes(from), IsEmpty());  // NOLINT(bugprone-use-after-move)
  to = PixelBuffer();
  EXPECT_THAT(Bytes(to), IsEmpty());
}

TEST(PixelPoolTest, ABufferThatCameBackIsGivenOutAgain) {
  PixelPool pool;
  pool.Keep(1000);
  const uint8_t* memory = nullptr;
  {
    const PixelBuffer buffer = pool.Take(100);
    EXPECT_EQ(buffer.size(), 100);
    memory = buffer.data();
    EXPECT_EQ(pool.free_bytes(), 0);
  }
  EXPECT_EQ(pool.free_bytes(), 100);
  const PixelBuffer other = pool.Take(99);
  EXPECT_NE(other.data(), memory);
  const PixelBuffer again = pool.Take(100);
  EXPECT_EQ(again.data(), memory);
  EXPECT_EQ(pool.free_bytes(), 0);
}

TEST(PixelPoolTest, KeepsNoMoreThanItMayAndForgetsOldSizesFirst) {
  PixelPool pool;
  pool.Keep(300);
  pool.Keep(200);  // Changes nothing.
  {
    std::vector<PixelBuffer> buffers;
    for (size_t size : {100, 100, 150, 150}) buffers.push_back(pool.Take(size));
    const uint8_t* const kept = buffers[3].data();
    // In this order they come back: the last two take the place of the first.
    for (PixelBuffer& buffer : buffers) buffer = PixelBuffer();
    EXPECT_EQ(pool.free_bytes(), 300);
    EXPECT_EQ(pool.Take(150).data(), kept);
  }
  { const PixelBuffer too_large = pool.Take(301); }
  EXPECT_EQ(pool.free_bytes(), 300);
}

TEST(PixelPoolTest, ABufferMayOutliveItsPool) {
  std::optional<PixelPool> pool(std::in_place);
  pool->Keep(1000);
  PixelBuffer buffer = pool->Take(100);
  std::memset(buffer.data(), 5, buffer.size());
  pool.reset();
  EXPECT_EQ(buffer.data()[99], 5);
}

TEST(PixelPoolTest, BuffersAreLetGoOnAnyThread) {
  PixelPool pool;
  pool.Keep(1 << 20);
  std::set<const uint8_t*> used;
  for (int round = 0; round < 200; ++round) {
    std::vector<PixelBuffer> buffers;
    for (int i = 0; i < 4; ++i) {
      buffers.push_back(pool.Take(64));
      used.insert(buffers.back().data());
    }
    std::thread([mine = std::move(buffers)] {}).join();
  }
  EXPECT_EQ(used.size(), 4);
  EXPECT_EQ(pool.free_bytes(), 4 * 64);
}

}  // namespace
}  // namespace ddgan

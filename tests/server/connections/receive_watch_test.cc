#include "server/connections/receive_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <vector>

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ReceiveWatchTest : public ::testing::Test {
 protected:
  std::vector<uint64_t> Look() {
    return watch_.Look([this](uint64_t id) { return sent_[id]; });
  }

  ReceiveWatch watch_{{.total = 100, .per_peer = 60}};
  std::map<uint64_t, int64_t> sent_;
};

TEST_F(ReceiveWatchTest, WhatComesToNothingIsBoundedByPeer) {
  watch_.Add(1, "a");
  watch_.Add(2, "a");
  watch_.Add(3, "b");
  sent_ = {{1, 20}, {2, 30}, {3, 50}};
  EXPECT_THAT(Look(), IsEmpty());
  // Then all are within their limit, too.
  sent_[1] = 31;
  EXPECT_THAT(Look(), ElementsAre(1));
  // It is gone, whether its socket has closed yet or not.
  sent_[1] = 1000;
  EXPECT_THAT(Look(), IsEmpty());
}

TEST_F(ReceiveWatchTest, WhatComesToNothingIsBoundedInAll) {
  for (uint64_t id = 1; id <= 5; ++id) {
    watch_.Add(id, std::string(1, static_cast<char>('a' + id)));
    sent_[id] = static_cast<int64_t>(20 + id);
  }
  EXPECT_THAT(Look(), ElementsAre(5));
}

TEST_F(ReceiveWatchTest, CallsThatBeginAndRequestsThatComeAreNoFlood) {
  watch_.Add(1, "a");
  for (int i = 0; i < 100; ++i) {
    sent_[1] += 50;
    watch_.Progress(1);
    EXPECT_THAT(Look(), IsEmpty());
  }
  sent_[1] += 60;
  EXPECT_THAT(Look(), IsEmpty());
  sent_[1] += 1;
  EXPECT_THAT(Look(), ElementsAre(1));
}

TEST_F(ReceiveWatchTest, AConnectionThatHasClosedCountsNoMore) {
  watch_.Add(1, "a");
  watch_.Add(2, "a");
  sent_ = {{1, 60}, {2, 0}};
  EXPECT_THAT(Look(), IsEmpty());
  watch_.Remove(1);
  watch_.Progress(1);
  sent_[2] = 60;
  EXPECT_THAT(Look(), IsEmpty());
}

}  // namespace
}  // namespace ddgan

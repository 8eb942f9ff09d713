#include "client/load_generator/latency_recorder.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

constexpr double kPercents[] = {1, 10, 50, 90, 99, 99.9, 100};

// From nanoseconds to hours, every order of magnitude equally often.
std::vector<int64_t> RandomNanoseconds(uint64_t seed, size_t number) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> exponent(0.0, 13.5);
  std::vector<int64_t> values;
  while (values.size() < number) {
    values.push_back(static_cast<int64_t>(std::pow(10.0, exponent(engine))));
  }
  return values;
}

int64_t ExactPercentile(std::vector<int64_t> values, double percent) {
  std::sort(values.begin(), values.end());
  const double rank =
      std::ceil(percent / 100.0 * static_cast<double>(values.size()));
  return values[static_cast<size_t>(rank) - 1];
}

TEST(LatencyRecorderTest, IsWithinOnePercentOfExactPercentiles) {
  const std::vector<int64_t> values = RandomNanoseconds(1, 12'345);
  LatencyRecorder recorder;
  for (const int64_t ns : values) recorder.Record(absl::Nanoseconds(ns));
  EXPECT_EQ(recorder.count(), values.size());
  for (const double percent : kPercents) {
    const auto exact = static_cast<double>(ExactPercentile(values, percent));
    EXPECT_NEAR(absl::ToDoubleNanoseconds(recorder.Percentile(percent)), exact,
                0.008 * exact)
        << percent;
  }
}

TEST(LatencyRecorderTest, KnowsEveryBucketsEdges) {
  for (int power = 0; power < 62; ++power) {
    for (const int64_t near : {-1, 0, 1}) {
      const int64_t ns = (int64_t{1} << power) + near;
      LatencyRecorder recorder;
      recorder.Record(absl::Nanoseconds(ns));
      recorder.Record(absl::Hours(24 * 365 * 200));
      const double found = absl::ToDoubleNanoseconds(recorder.Percentile(50));
      EXPECT_NEAR(found, static_cast<double>(ns),
                  static_cast<double>(ns) / 128.0);
    }
  }
}

TEST(LatencyRecorderTest, IsExactWhereItCanBe) {
  LatencyRecorder recorder;
  EXPECT_EQ(recorder.Percentile(99), absl::ZeroDuration());
  EXPECT_EQ(recorder.max(), absl::ZeroDuration());
  recorder.Record(absl::Milliseconds(-1));
  EXPECT_EQ(recorder.Percentile(100), absl::ZeroDuration());
  recorder.Record(absl::Nanoseconds(127));
  EXPECT_EQ(recorder.Percentile(50), absl::ZeroDuration());
  EXPECT_EQ(recorder.Percentile(50.1), absl::Nanoseconds(127));
  // The largest is known, and no percentile is above it.
  recorder.Record(absl::Seconds(1) + absl::Nanoseconds(1));
  EXPECT_EQ(recorder.max(), absl::Nanoseconds(1'000'000'001));
  EXPECT_LE(recorder.Percentile(100), recorder.max());
}

}  // namespace
}  // namespace ddgan

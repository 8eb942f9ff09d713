// Numbers for the tests of metrics: the same ones on every machine.
#ifndef DDGAN_TESTS_TRAINER_EVALUATION_METRICS_FEATURE_FIXTURE_H_
#define DDGAN_TESTS_TRAINER_EVALUATION_METRICS_FEATURE_FIXTURE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "trainer/evaluation/metrics/feature_rows.h"

namespace ddgan {

// A linear congruential generator's numbers in [-0.5, 0.5).
class FixtureNumbers {
 public:
  double Next() {
    state_ = (1103515245 * state_ + 12345) % (uint64_t{1} << 31);
    return static_cast<double>(state_) / 2147483648.0 - 0.5;
  }

  // values[i] = next * scale + offset
  std::vector<double> Draw(int64_t count, double scale = 1, double offset = 0) {
    std::vector<double> values(count);
    for (double& value : values) value = Next() * scale + offset;
    return values;
  }

 private:
  uint64_t state_ = 12345;
};

// Rows that own their values.
class OwnedRows {
 public:
  OwnedRows(int64_t features, std::vector<float> values)
      : features_(features), values_(std::move(values)) {}
  OwnedRows(int64_t features, const std::vector<double>& values)
      : features_(features), values_(values.begin(), values.end()) {}

  FeatureRows view() const {
    return {values_.data(), static_cast<int64_t>(values_.size()) / features_,
            features_};
  }
  float& at(int64_t row, int64_t feature) {
    return values_[row * features_ + feature];
  }

 private:
  int64_t features_;
  std::vector<float> values_;
};

// What the figures of the tests are of: 256 rows of 8 features in each set.
struct FixtureSets {
  static constexpr int64_t kFeatures = 8;
  std::vector<double> real;
  std::vector<double> generated;

  FixtureSets() {
    FixtureNumbers numbers;
    real = numbers.Draw(256 * kFeatures);
    generated = numbers.Draw(256 * kFeatures, 0.9, 0.05);
  }
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_EVALUATION_METRICS_FEATURE_FIXTURE_H_

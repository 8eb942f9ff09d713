// Does the metric see? Drawn digits are measured against others of their kind,
// and against ones that are worse in a known way: noise, blur, classes that are
// missing, pictures that come twice. Frechet distance, precision and recall
// must each move as they must, by more than they differ from seed to seed.
//
// 600 pictures in each set, three seeds, the features of a classifier that is
// trained on 3,000 of the pictures; k = 3. The table that the test prints has
// mean and range over the seeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tests/fakes/temporary_folder.h"
#include "trainer/dataset/image_dataset.h"
#include "trainer/evaluation/digit_classifier.h"
#include "trainer/evaluation/features/feature_network.h"
#include "trainer/evaluation/metrics/frechet_distance.h"
#include "trainer/evaluation/metrics/neighbour_metrics.h"

namespace ddgan {
namespace {

constexpr int kSide = 32;
constexpr int kPixels = kSide * kSide;
constexpr int kSetSize = 600;
constexpr int kSeeds = 3;
constexpr ImageShape kShape = {1, kSide, kSide};

using Pictures = std::vector<uint8_t>;
using Random = std::mt19937;

double Uniform(Random* random, double low, double high) {
  return low + (high - low) * ((*random)() / 4294967296.0);
}

// Distance from a point to a segment.
double Distance(double x, double y, const std::array<double, 4>& segment) {
  const double dx = segment[2] - segment[0], dy = segment[3] - segment[1];
  const double along = std::clamp(
      ((x - segment[0]) * dx + (y - segment[1]) * dy) / (dx * dx + dy * dy),
      0.0, 1.0);
  return std::hypot(x - segment[0] - along * dx, y - segment[1] - along * dy);
}

// A digit of seven segments, as on a clock: shifted, scaled, slanted, of some
// thickness and brightness.
void DrawDigit(int digit, Random* random, uint8_t* pixels) {
  // Which of the segments a to g are lit.
  constexpr std::array<int, 10> kLit = {0x3f, 0x06, 0x5b, 0x4f, 0x66,
                                        0x6d, 0x7d, 0x07, 0x7f, 0x6f};
  constexpr std::array<std::array<double, 4>, 7> kSegments = {{{-1, -2, 1, -2},
                                                               {1, -2, 1, 0},
                                                               {1, 0, 1, 2},
                                                               {-1, 2, 1, 2},
                                                               {-1, 0, -1, 2},
                                                               {-1, -2, -1, 0},
                                                               {-1, 0, 1, 0}}};
  const double shift_x = Uniform(random, -3, 3);
  const double shift_y = Uniform(random, -3, 3);
  const double width = Uniform(random, 3.5, 6);
  const double height = Uniform(random, 4, 5.5);
  const double slant = Uniform(random, -0.35, 0.35);
  const double thickness = Uniform(random, 0.9, 1.8);
  const double brightness = Uniform(random, 170, 255);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const double py = (y - 15.5 - shift_y) / height;
      const double px = (x - 15.5 - shift_x) / width + slant * py;
      double nearest = 100;
      for (size_t i = 0; i < kSegments.size(); ++i) {
        if ((kLit[static_cast<size_t>(digit)] >> i & 1) != 0) {
          nearest = std::min(nearest, Distance(px, py, kSegments[i]) * width);
        }
      }
      const double edge = std::clamp(thickness + 0.5 - nearest, 0.0, 1.0);
      pixels[y * kSide + x] = static_cast<uint8_t>(brightness * edge);
    }
  }
}

Pictures Draw(int count, int classes, uint32_t seed) {
  Random random(seed);
  Pictures pictures(static_cast<size_t>(count) * kPixels);
  for (int i = 0; i < count; ++i) {
    DrawDigit(i % classes, &random,
              pictures.data() + static_cast<size_t>(i) * kPixels);
  }
  return pictures;
}

Pictures WithNoise(Pictures pictures, double deviation, uint32_t seed) {
  Random random(seed);
  std::normal_distribution<double> normal(0, deviation);
  for (uint8_t& pixel : pictures) {
    pixel = static_cast<uint8_t>(
        std::clamp(pixel + normal(random) + 0.5, 0.0, 255.0));
  }
  return pictures;
}

Pictures Blurred(const Pictures& pictures, double deviation) {
  const int reach = static_cast<int>(std::ceil(3 * deviation));
  std::vector<double> kernel;
  double sum = 0;
  for (int i = -reach; i <= reach; ++i) {
    kernel.push_back(std::exp(-i * i / (2 * deviation * deviation)));
    sum += kernel.back();
  }
  // One direction, and then the other.
  const auto pass = [&](const Pictures& from, bool rows) {
    Pictures to(from.size());
    for (size_t begin = 0; begin < from.size(); begin += kPixels) {
      for (int y = 0; y < kSide; ++y) {
        for (int x = 0; x < kSide; ++x) {
          double value = 0;
          for (int i = -reach; i <= reach; ++i) {
            const int yy = rows ? y : y + i, xx = rows ? x + i : x;
            if (yy < 0 || yy >= kSide || xx < 0 || xx >= kSide) continue;
            value += kernel[static_cast<size_t>(i + reach)] *
                     from[begin + static_cast<size_t>(yy * kSide + xx)];
          }
          to[begin + static_cast<size_t>(y * kSide + x)] =
              static_cast<uint8_t>(value / sum + 0.5);
        }
      }
    }
    return to;
  };
  return pass(pass(pictures, true), false);
}

Pictures FirstHalfTwice(Pictures pictures) {
  const auto half = static_cast<int64_t>(pictures.size() / 2);
  std::copy(pictures.begin(), pictures.begin() + half, pictures.begin() + half);
  return pictures;
}

class DrawnDigits : public ImageDataset {
 public:
  explicit DrawnDigits(int count) : pictures_(Draw(count, 10, 1)) {}
  size_t size() const override { return pictures_.size() / kPixels; }
  const ImageShape& shape() const override { return kShape; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override {
    std::copy_n(pictures_.begin() + static_cast<int64_t>(index * kPixels),
                kPixels, pixels.begin());
    return absl::OkStatus();
  }

 private:
  const Pictures pictures_;
};

struct Figures {
  double fd = 0;
  double precision = 0;
  double recall = 0;
};

class MetricSensitivityTest : public ::testing::Test {
 protected:
  MetricSensitivityTest() {
    const DrawnDigits digits(3000);
    std::vector<uint8_t> labels;
    for (size_t i = 0; i < digits.size(); ++i) {
      labels.push_back(static_cast<uint8_t>(i % 10));
    }
    const auto classifier =
        DigitClassifier::Train(digits, labels, {}, [](int64_t, int64_t) {});
    EXPECT_TRUE(classifier.ok()) << classifier.status();
    const std::filesystem::path file = folder_.path() / "digits.safetensors";
    EXPECT_TRUE((*classifier)->Save(file).ok());
    FeatureNetworkOptions options;
    options.name = "digits";
    options.digits_file = file.string();
    network_ = OpenFeatureNetwork(options).value();
  }

  std::vector<float> Features(const Pictures& pictures) const {
    return network_->Run(pictures, kShape).value().features;
  }

  FeatureRows Rows(const std::vector<float>& features) const {
    return {features.data(), kSetSize, network_->feature_count()};
  }

  Figures Measure(const std::vector<float>& real,
                  const Pictures& pictures) const {
    const std::vector<float> features = Features(pictures);
    const auto neighbours =
        NeighbourMetricsOf(Rows(real), Rows(features), {}, nullptr).value();
    return {FrechetDistance(StatisticsOf(Rows(real)).value(),
                            StatisticsOf(Rows(features)).value())
                .value(),
            neighbours.precision, neighbours.recall};
  }

  const TemporaryFolder folder_;
  std::unique_ptr<const FeatureNetwork> network_;
};

TEST_F(MetricSensitivityTest, EachFigureMovesAsItMust) {
  std::map<std::string, std::vector<Figures>> found;
  for (uint32_t seed = 0; seed < kSeeds; ++seed) {
    const std::vector<float> real = Features(Draw(kSetSize, 10, 100 + seed));
    const Pictures others = Draw(kSetSize, 10, 200 + seed);
    const std::vector<std::pair<const char*, Pictures>> sets = {
        {"real", others},
        {"light noise", WithNoise(others, 25, seed)},
        {"strong noise", WithNoise(others, 60, seed)},
        {"light blur", Blurred(others, 0.8)},
        {"strong blur", Blurred(others, 2.5)},
        {"half of the classes", Draw(kSetSize, 5, 300 + seed)},
        {"each one twice", FirstHalfTwice(others)}};
    for (const auto& [name, pictures] : sets) {
      found[name].push_back(Measure(real, pictures));
    }
  }

  std::map<std::string, double> lowest, highest;
  const auto summarise = [&](const char* figure,
                             const std::function<double(const Figures&)>& of) {
    for (const auto& [name, all] : found) {
      double low = of(all.front()), high = low, sum = 0;
      for (const Figures& figures : all) {
        low = std::min(low, of(figures));
        high = std::max(high, of(figures));
        sum += of(figures);
      }
      const std::string key = name + "/" + figure;
      lowest[key] = low;
      highest[key] = high;
      std::printf("%-20s %-10s %9.4f  (%.4f to %.4f over %d seeds)\n",
                  name.c_str(), figure, sum / kSeeds, low, high, kSeeds);
    }
  };
  summarise("fd", [](const Figures& f) { return f.fd; });
  summarise("precision", [](const Figures& f) { return f.precision; });
  summarise("recall", [](const Figures& f) { return f.recall; });
  // Apart by more than the seeds are.
  const auto expect_below = [&](const std::string& a, const std::string& b,
                                const std::string& figure) {
    EXPECT_LT(highest[a + "/" + figure], lowest[b + "/" + figure])
        << a << ", " << b << ": " << figure;
  };

  expect_below("real", "light noise", "fd");
  expect_below("light noise", "strong noise", "fd");
  expect_below("real", "light blur", "fd");
  expect_below("light blur", "strong blur", "fd");
  expect_below("real", "half of the classes", "fd");
  expect_below("real", "each one twice", "fd");

  expect_below("strong noise", "light noise", "precision");
  expect_below("strong blur", "light blur", "precision");
  expect_below("strong noise", "real", "precision");
  expect_below("strong blur", "real", "precision");
  // What is there is as good as ever.
  EXPECT_GT(lowest["half of the classes/precision"],
            lowest["real/precision"] - 0.05);
  EXPECT_GT(lowest["each one twice/precision"],
            lowest["real/precision"] - 0.05);

  expect_below("half of the classes", "real", "recall");
  EXPECT_LT(highest["half of the classes/recall"], 0.65);
  expect_below("strong noise", "real", "recall");
  expect_below("strong blur", "real", "recall");
  EXPECT_LT(highest["each one twice/recall"], lowest["real/recall"] + 0.05);
}

}  // namespace
}  // namespace ddgan

#include "trainer/evaluation/metrics/neighbour_metrics.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "feature_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using testing::ElementsAre;
using testing::Pair;

NeighbourMetrics MetricsOf(const OwnedRows& real, const OwnedRows& generated,
                           const NeighbourOptions& options) {
  const auto metrics =
      NeighbourMetricsOf(real.view(), generated.view(), options, nullptr);
  EXPECT_TRUE(metrics.ok()) << metrics.status();
  return *metrics;
}

std::vector<double> FiguresOf(const NeighbourMetrics& metrics) {
  return {metrics.precision, metrics.recall, metrics.density, metrics.coverage};
}

double Distance(const FeatureRows& a, int64_t i, const FeatureRows& b,
                int64_t j) {
  double square = 0;
  for (int64_t k = 0; k < a.features; ++k) {
    const double difference =
        static_cast<double>(a.values[i * a.features + k]) -
        b.values[j * b.features + k];
    square += difference * difference;
  }
  return std::sqrt(square);
}

std::vector<double> PlainRadii(const FeatureRows& rows, int k) {
  std::vector<double> radii;
  for (int64_t i = 0; i < rows.rows; ++i) {
    std::vector<double> others;
    for (int64_t j = 0; j < rows.rows; ++j) {
      if (j != i) others.push_back(Distance(rows, i, rows, j));
    }
    std::sort(others.begin(), others.end());
    radii.push_back(others[k - 1]);
  }
  return radii;
}

// By the definition; for rows without any tie.
NeighbourMetrics PlainMetrics(const FeatureRows& real,
                              const FeatureRows& generated, int k) {
  const std::vector<double> real_radii = PlainRadii(real, k);
  const std::vector<double> generated_radii = PlainRadii(generated, k);
  const double n = static_cast<double>(real.rows);
  const double m = static_cast<double>(generated.rows);
  NeighbourMetrics metrics;
  for (int64_t j = 0; j < generated.rows; ++j) {
    int balls = 0;
    for (int64_t i = 0; i < real.rows; ++i) {
      if (Distance(real, i, generated, j) < real_radii[i]) ++balls;
    }
    metrics.precision += (balls > 0) / m;
    metrics.density += balls / m / k;
  }
  for (int64_t i = 0; i < real.rows; ++i) {
    bool recalled = false, covered = false;
    for (int64_t j = 0; j < generated.rows; ++j) {
      const double distance = Distance(real, i, generated, j);
      recalled |= distance < generated_radii[j];
      covered |= distance < real_radii[i];
    }
    metrics.recall += recalled / n;
    metrics.coverage += covered / n;
  }
  return metrics;
}

TEST(NeighbourMetricsTest, AreThoseOfPrdc) {
  const FixtureSets sets;
  for (const bool strict : {true, false}) {
    const NeighbourMetrics metrics =
        MetricsOf(OwnedRows(8, sets.real), OwnedRows(8, sets.generated),
                  {.k = 5, .strict = strict});
    EXPECT_EQ(metrics.precision, 1);
    EXPECT_EQ(metrics.recall, 0.875);
    EXPECT_DOUBLE_EQ(metrics.density, 1.24453125);
    EXPECT_EQ(metrics.coverage, 0.97265625);
  }
}

TEST(NeighbourMetricsTest, AreByDefinitionWhateverTheBlocks) {
  constexpr int64_t kFeatures = 6;
  FixtureNumbers numbers;
  const OwnedRows real(kFeatures, numbers.Draw(150 * kFeatures));
  const OwnedRows generated(kFeatures, numbers.Draw(97 * kFeatures, 0.6, 0.3));
  for (const int k : {1, 3, 20}) {
    const NeighbourMetrics expected =
        PlainMetrics(real.view(), generated.view(), k);
    ASSERT_GT(expected.recall, 0.01);
    ASSERT_LT(expected.precision, 1);
    // Blocks of one row, such that the last is incomplete in either set or in
    // none, and one that holds all.
    for (const int64_t block : {1, 7, 50, 97, 150, 1024}) {
      const NeighbourMetrics found =
          MetricsOf(real, generated, {.k = k, .block = block});
      EXPECT_NEAR(found.precision, expected.precision, 1e-12) << k << block;
      EXPECT_NEAR(found.recall, expected.recall, 1e-12) << k << block;
      EXPECT_NEAR(found.density, expected.density, 1e-12) << k << block;
      EXPECT_NEAR(found.coverage, expected.coverage, 1e-12) << k << block;
    }
  }
}

TEST(NeighbourMetricsTest, TheEdgeOfABallIsInItUnlessStrict) {
  // Real balls reach 1, generated ones 18. Row 2 is on the edge of that of 1.
  const OwnedRows real(1, std::vector<float>{0, 1});
  const OwnedRows generated(1, std::vector<float>{2, 20});
  EXPECT_THAT(FiguresOf(MetricsOf(real, generated, {.k = 1})),
              ElementsAre(0.5, 1, 0, 0));
  EXPECT_THAT(FiguresOf(MetricsOf(real, generated, {.k = 1, .strict = true})),
              ElementsAre(0, 1, 0, 0));
  // The other way round: 20 is outside of everything.
  EXPECT_THAT(FiguresOf(MetricsOf(generated, real, {.k = 1})),
              ElementsAre(1, 0.5, 1, 0.5));
  EXPECT_THAT(FiguresOf(MetricsOf(generated, real, {.k = 1, .strict = true})),
              ElementsAre(1, 0, 1, 0.5));
}

// Each real ball holds the row itself and the k - 1 nearest: the k-th is on its
// edge, however its distance was computed.
TEST(NeighbourMetricsTest, OfACopyAreExact) {
  constexpr int64_t kFeatures = 37;
  FixtureNumbers numbers;
  const OwnedRows rows(kFeatures, numbers.Draw(300 * kFeatures, 1, 100));
  for (const int k : {1, 3, 10}) {
    for (const bool strict : {true, false}) {
      for (const int64_t block : {300, 64}) {
        EXPECT_THAT(
            FiguresOf(MetricsOf(rows, rows,
                                {.k = k, .strict = strict, .block = block})),
            ElementsAre(1, 1, testing::DoubleEq(1), 1))
            << k << strict << block;
      }
    }
  }
}

TEST(NeighbourMetricsTest, ABallAmongCopiesIsAPoint) {
  // Rows far from 0, where rounding could part copies.
  FixtureNumbers numbers;
  const std::vector<double> one = numbers.Draw(100, 1000, 30000);
  std::vector<double> values;
  for (int row = 0; row < 20; ++row) {
    values.insert(values.end(), one.begin(), one.end());
  }
  const OwnedRows copies(100, values);
  EXPECT_THAT(FiguresOf(MetricsOf(copies, copies, {.k = 5})),
              ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(FiguresOf(MetricsOf(copies, copies, {.k = 5, .strict = true})),
              ElementsAre(0, 0, 0, 0));
  OwnedRows other = copies;
  for (int row = 0; row < 20; ++row) other.at(row, 99) += 0.01f;
  EXPECT_THAT(FiguresOf(MetricsOf(copies, other, {.k = 5})),
              ElementsAre(0, 0, 0, 0));
}

TEST(NeighbourMetricsTest, ARowIsNotItsOwnNeighbourButACopyIs) {
  // Radii with k = 1: 0, 0, 4.
  const OwnedRows real(1, std::vector<float>{0, 0, 4});
  const OwnedRows generated(1, std::vector<float>{3, 30, 300});
  EXPECT_THAT(FiguresOf(MetricsOf(real, generated, {.k = 1})),
              ElementsAre(1.0 / 3, 1, 1.0 / 3, 1.0 / 3));
}

TEST(NeighbourMetricsTest, TellOfProgressUpToAllRows) {
  FixtureNumbers numbers;
  const OwnedRows rows(2, numbers.Draw(200));
  std::vector<int64_t> done;
  const auto metrics = NeighbourMetricsOf(
      rows.view(), rows.view(), {.block = 30}, [&](int64_t now, int64_t all) {
        EXPECT_EQ(all, 200);
        done.push_back(now);
      });
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  // 4 blocks of each: 10 pairs within a set, twice, and 16 across.
  ASSERT_EQ(done.size(), 36u);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.front(), 5);
  EXPECT_EQ(done.back(), 200);
}

TEST(NeighbourMetricsTest, RefuseWhatIsOutOfRange) {
  const OwnedRows rows(2, std::vector<float>(204));
  const auto refusal = [&](const NeighbourOptions& options) {
    return NeighbourMetricsOf(rows.view(), rows.view(), options, nullptr)
        .status();
  };
  EXPECT_TRUE(refusal({.k = 100}).ok());
  EXPECT_EQ(refusal({.k = 0}),
            absl::InvalidArgumentError("k is 0, must be in [1, 100]"));
  EXPECT_EQ(refusal({.k = 101}),
            absl::InvalidArgumentError("k is 101, must be in [1, 100]"));
  EXPECT_EQ(refusal({.block = 0}),
            absl::InvalidArgumentError("block is 0, must be in [1, 16384]"));
}

TEST(NeighbourMetricsTest, RefuseSetsThatDoNotFit) {
  const OwnedRows rows(2, std::vector<float>(8));
  EXPECT_TRUE(
      NeighbourMetricsOf(rows.view(), rows.view(), {.k = 3}, nullptr).ok());
  EXPECT_EQ(
      NeighbourMetricsOf(rows.view(), rows.view(), {.k = 4}, nullptr).status(),
      absl::InvalidArgumentError(
          "the real features have 4 rows, must have at least 5"));
  EXPECT_EQ(NeighbourMetricsOf(rows.view(), {rows.view().values, 8, 1},
                               {.k = 3}, nullptr)
                .status(),
            absl::InvalidArgumentError(
                "the real features are rows of 2, the generated features of "
                "1, must be as many"));
  OwnedRows bad = rows;
  bad.at(3, 1) = NAN;
  EXPECT_EQ(
      NeighbourMetricsOf(rows.view(), bad.view(), {.k = 3}, nullptr).status(),
      absl::InvalidArgumentError("row 3 of the generated features has nan at "
                                 "1, must be in [-1e+15, 1e+15]"));
}

std::vector<std::pair<int64_t, double>> Nearest(const OwnedRows& queries,
                                                const OwnedRows& among, int k) {
  const auto neighbours = NearestRows(queries.view(), among.view(), k);
  EXPECT_TRUE(neighbours.ok()) << neighbours.status();
  std::vector<std::pair<int64_t, double>> pairs;
  for (const Neighbour& neighbour : *neighbours) {
    pairs.emplace_back(neighbour.row, neighbour.distance);
  }
  return pairs;
}

TEST(NearestRowsTest, AreNearestFirstAndOfTiesTheSmallerRow) {
  const OwnedRows among(1, std::vector<float>{3, 1, -1, 1, 7});
  const OwnedRows queries(1, std::vector<float>{0, 7});
  EXPECT_THAT(
      Nearest(queries, among, 4),
      ElementsAre(Pair(1, 1.0), Pair(2, 1.0), Pair(3, 1.0), Pair(0, 3.0),  //
                  Pair(4, 0.0), Pair(0, 4.0), Pair(1, 6.0), Pair(3, 6.0)));
}

TEST(NearestRowsTest, AreFoundAcrossBlocks) {
  constexpr int64_t kRows = 2500;
  FixtureNumbers numbers;
  const OwnedRows among(2, numbers.Draw(kRows * 2));
  const OwnedRows queries(2, numbers.Draw(1030 * 2));
  const auto found = NearestRows(queries.view(), among.view(), 5);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1030u * 5);
  for (const int64_t query : {0, 1023, 1024, 1029}) {
    std::vector<std::pair<double, int64_t>> expected;
    for (int64_t row = 0; row < kRows; ++row) {
      expected.emplace_back(Distance(queries.view(), query, among.view(), row),
                            row);
    }
    std::sort(expected.begin(), expected.end());
    for (int64_t i = 0; i < 5; ++i) {
      EXPECT_EQ((*found)[query * 5 + i].row, expected[i].second);
      EXPECT_FLOAT_EQ((*found)[query * 5 + i].distance, expected[i].first);
    }
  }
}

// A picture that the model has learnt by heart, and one that lies twice in the
// data, many blocks apart.
TEST(NearestRowsTest, ACopyIsAtDistanceZeroAndItsFirstComesFirst) {
  constexpr int64_t kFeatures = 50;
  FixtureNumbers numbers;
  std::vector<double> values = numbers.Draw(3000 * kFeatures, 1, 1000);
  std::copy_n(values.begin() + 700 * kFeatures, kFeatures,
              values.begin() + 2900 * kFeatures);
  const OwnedRows among(kFeatures, values);
  const OwnedRows query(kFeatures,
                        std::vector<double>(values.begin() + 700 * kFeatures,
                                            values.begin() + 701 * kFeatures));
  const auto found = Nearest(query, among, 3);
  EXPECT_EQ(found[0], std::pair(int64_t{700}, 0.0));
  EXPECT_EQ(found[1], std::pair(int64_t{2900}, 0.0));
  EXPECT_GT(found[2].second, 0);
}

TEST(NearestRowsTest, NeedsKRowsAndRowsOfOneLength) {
  const OwnedRows rows(2, std::vector<float>(8));
  EXPECT_EQ(Nearest(rows, rows, 4).size(), 16u);
  EXPECT_EQ(NearestRows(rows.view(), rows.view(), 5).status(),
            absl::InvalidArgumentError("the rows among which to look have 4 "
                                       "rows, must have at least 5"));
  EXPECT_EQ(NearestRows(rows.view(), rows.view(), 0).status(),
            absl::InvalidArgumentError("k is 0, must be in [1, 100]"));
  EXPECT_EQ(NearestRows(rows.view(), {rows.view().values, 8, 1}, 1).status(),
            absl::InvalidArgumentError(
                "the queries are rows of 2, the rows among which to look of 1, "
                "must be as many"));
  OwnedRows bad = rows;
  bad.at(1, 1) = INFINITY;
  EXPECT_EQ(NearestRows(bad.view(), rows.view(), 1).status(),
            absl::InvalidArgumentError("row 1 of the queries has inf at 1, "
                                       "must be in [-1e+15, 1e+15]"));
  EXPECT_THAT(Nearest(OwnedRows(2, std::vector<float>{}), rows, 1),
              ElementsAre());
}

}  // namespace
}  // namespace ddgan

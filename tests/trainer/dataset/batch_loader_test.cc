#include "trainer/dataset/batch_loader.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"
#include "trainer/dataset/data_order.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr ImageShape kShape = {3, 2, 4};
constexpr size_t kSampleSize = 3 * 2 * 4;

uint8_t Pixel(size_t image, int y, int x, int c) {
  return static_cast<uint8_t>(image * 29 + y * 101 + x * 13 + c * 57);
}

float Normalised(uint8_t value) {
  return (static_cast<float>(value) / 255.0f - 0.5f) / 0.5f;
}

std::vector<float> Planes(size_t image, bool mirrored) {
  std::vector<float> planes;
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 2; ++y) {
      for (int x = 0; x < 4; ++x) {
        planes.push_back(Normalised(Pixel(image, y, mirrored ? 3 - x : x, c)));
      }
    }
  }
  return planes;
}

// Thread-safe.
class FakeDataset : public ImageDataset {
 public:
  // What Image() says for an index; called without a lock.
  using Outcome = std::function<absl::Status(size_t)>;

  explicit FakeDataset(size_t size, Outcome outcome = nullptr)
      : size_(size), outcome_(std::move(outcome)) {}

  size_t size() const override { return size_; }
  const ImageShape& shape() const override { return kShape; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override {
    if (outcome_) {
      if (absl::Status s = outcome_(index); !s.ok()) return s;
    }
    for (int y = 0; y < 2; ++y) {
      for (int x = 0; x < 4; ++x) {
        for (int c = 0; c < 3; ++c) {
          pixels[(y * 4 + x) * 3 + c] = Pixel(index, y, x, c);
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  const size_t size_;
  const Outcome outcome_;
};

std::vector<uint32_t> AllRows(int batch) {
  std::vector<uint32_t> rows(batch);
  std::iota(rows.begin(), rows.end(), 0u);
  return rows;
}

BatchLoader::Options OptionsOf(int batch_size, std::vector<uint32_t> rows,
                               bool flip = false) {
  BatchLoader::Options options;
  options.seed = 11;
  options.batch_size = batch_size;
  options.rows = std::move(rows);
  options.flip = flip;
  options.threads = 3;
  return options;
}

class BatchLoaderTest : public ::testing::Test {
 protected:
  std::unique_ptr<BatchLoader> Create(
      const FakeDataset& dataset, BatchLoader::Options options,
      BatchLoader::DamageReport report = nullptr) {
    return BatchLoader::Create(&dataset, std::move(options), &clock_,
                               std::move(report))
        .value();
  }

  static std::vector<float> BatchOf(BatchLoader* loader, int64_t step) {
    const absl::StatusOr<absl::Span<const float>> batch = loader->Batch(step);
    EXPECT_TRUE(batch.ok()) << batch.status();
    return batch.ok() ? std::vector<float>(batch->begin(), batch->end())
                      : std::vector<float>();
  }

  ManualClock clock_;
};

TEST_F(BatchLoaderTest, GivesTheRowsOfEpochOrder) {
  const FakeDataset dataset(10);  // 3 steps of 3; one image is left out.
  const auto loader = Create(dataset, OptionsOf(3, {0, 1, 2}));
  EXPECT_EQ(loader->size(), 10u);
  EXPECT_EQ(loader->shape(), kShape);
  for (int64_t step = 0; step < 20; ++step) {
    const std::vector<uint32_t> order = EpochOrder(11, step / 3, 10);
    std::vector<float> wanted;
    for (int r = 0; r < 3; ++r) {
      const std::vector<float> image = Planes(order[step % 3 * 3 + r], false);
      wanted.insert(wanted.end(), image.begin(), image.end());
    }
    EXPECT_EQ(BatchOf(loader.get(), step), wanted) << step;
  }
  EXPECT_EQ(loader->DamagedSamples(), 0);
}

TEST_F(BatchLoaderTest, ProcessesShareABatch) {
  const FakeDataset dataset(50);
  const auto whole = Create(dataset, OptionsOf(16, AllRows(16), true));
  const std::vector<uint32_t> rows[] = {RowsOfSlot(16, 2, 0),
                                        RowsOfSlot(16, 2, 1)};
  const std::unique_ptr<BatchLoader> parts[] = {
      Create(dataset, OptionsOf(16, rows[0], true)),
      Create(dataset, OptionsOf(16, rows[1], true))};
  for (int64_t step = 0; step < 10; ++step) {
    std::vector<float> joined(16 * kSampleSize);
    for (int p = 0; p < 2; ++p) {
      const std::vector<float> part = BatchOf(parts[p].get(), step);
      ASSERT_EQ(part.size(), 8 * kSampleSize);
      for (size_t i = 0; i < rows[p].size(); ++i) {
        std::copy_n(part.begin() + i * kSampleSize, kSampleSize,
                    joined.begin() + rows[p][i] * kSampleSize);
      }
    }
    EXPECT_EQ(joined, BatchOf(whole.get(), step)) << step;
  }
}

TEST_F(BatchLoaderTest, MirrorsHalfOfTheRows) {
  const FakeDataset dataset(64);
  const auto loader = Create(dataset, OptionsOf(64, AllRows(64), true));
  int mirrored = 0;
  for (int64_t step = 0; step < 8; ++step) {
    const std::vector<uint32_t> order = EpochOrder(11, step, 64);
    const std::vector<float> batch = BatchOf(loader.get(), step);
    for (uint32_t row = 0; row < 64; ++row) {
      const bool mirror = MirrorsRow(11, step, row);
      const std::vector<float> image(batch.begin() + row * kSampleSize,
                                     batch.begin() + (row + 1) * kSampleSize);
      EXPECT_EQ(image, Planes(order[row], mirror));
      mirrored += mirror ? 1 : 0;
    }
  }
  EXPECT_GT(mirrored, 200);  // Of 512; 5 standard deviations.
  EXPECT_LT(mirrored, 312);
}

TEST_F(BatchLoaderTest, AnyStepCanFollowAnyOther) {
  const FakeDataset dataset(20);
  const auto straight = Create(dataset, OptionsOf(4, AllRows(4), true));
  std::vector<std::vector<float>> batches;
  for (int64_t step = 0; step < 40; ++step) {
    batches.push_back(BatchOf(straight.get(), step));
  }
  const auto jumping = Create(dataset, OptionsOf(4, AllRows(4), true));
  for (const int64_t step : {30, 31, 3, 3, 4, 6, 9, 39, 0, 1, 2, 0, 25}) {
    EXPECT_EQ(BatchOf(jumping.get(), step), batches[step]) << step;
  }
  EXPECT_TRUE(BatchLoader::Create(&dataset, OptionsOf(4, AllRows(4)), &clock_)
                  .value()
                  ->Batch(int64_t{1} << 62)
                  .ok());
}

TEST_F(BatchLoaderTest, UsesItsBuffersAgain) {
  const FakeDataset dataset(20);
  const auto loader = Create(dataset, OptionsOf(4, AllRows(4)));
  std::vector<const float*> buffers;
  for (int64_t step = 0; step < 12; ++step) {
    buffers.push_back(loader->Batch(step).value().data());
  }
  for (size_t step = 3; step < 12; ++step) {
    EXPECT_EQ(buffers[step], buffers[step - 3]);
  }
}

TEST_F(BatchLoaderTest, ReplacesDamagedImagesByTheNext) {
  constexpr size_t kSize = 10;
  const auto replacement = [](size_t index) -> size_t {
    if (index == 3 || index == 4) return 5;
    return index == 9 ? 0 : index;
  };
  const FakeDataset dataset(kSize, [](size_t index) -> absl::Status {
    if (index == 4) return absl::FailedPreconditionError("gray");
    if (index == 3 || index == 9) return absl::DataLossError("damaged");
    return absl::OkStatus();
  });
  absl::Mutex mu;
  std::vector<size_t> reported;
  {
    const auto loader =
        Create(dataset, OptionsOf(5, AllRows(5)),
               [&](size_t index, const absl::Status& status) {
                 absl::MutexLock lock(&mu);
                 reported.push_back(index);
                 EXPECT_EQ(status.message(), index == 4 ? "gray" : "damaged");
               });
    for (int64_t step = 0; step < 12; ++step) {
      const std::vector<uint32_t> order = EpochOrder(11, step / 2, kSize);
      const std::vector<float> batch = BatchOf(loader.get(), step);
      for (int row = 0; row < 5; ++row) {
        const std::vector<float> image(batch.begin() + row * kSampleSize,
                                       batch.begin() + (row + 1) * kSampleSize);
        EXPECT_EQ(image, Planes(replacement(order[step % 2 * 5 + row]), false));
      }
    }
    EXPECT_EQ(loader->DamagedSamples(), 3);
  }
  EXPECT_THAT(reported, UnorderedElementsAre(3, 4, 9));
}

TEST_F(BatchLoaderTest, FailsWhereNoImageCanBeRead) {
  const FakeDataset dataset(
      10, [](size_t) { return absl::DataLossError("damaged"); });
  const auto loader = Create(dataset, OptionsOf(5, AllRows(5)));
  for (const int64_t step : {0, 0, 7}) {
    const absl::Status status = loader->Batch(step).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("none of the 10 images of the set can be read"));
  }
  EXPECT_EQ(loader->DamagedSamples(), 10);
}

// A disk that is away for a moment must not change what is learnt.
TEST_F(BatchLoaderTest, ReplacesNothingWhereReadingFails) {
  const std::vector<uint32_t> order = EpochOrder(11, 0, 10);
  std::atomic<bool> away = true;
  const FakeDataset dataset(10, [&](size_t index) -> absl::Status {
    if (away && (index == order[2] || index == order[4])) {
      return absl::UnavailableError(index == order[2] ? "first" : "second");
    }
    return absl::OkStatus();
  });
  const auto loader = Create(dataset, OptionsOf(5, AllRows(5)));
  const absl::Status status = loader->Batch(0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "first");
  away = false;
  const std::vector<float> batch = BatchOf(loader.get(), 0);
  for (int row = 0; row < 5; ++row) {
    EXPECT_EQ(std::vector<float>(batch.begin() + row * kSampleSize,
                                 batch.begin() + (row + 1) * kSampleSize),
              Planes(order[row], false));
  }
  EXPECT_EQ(loader->DamagedSamples(), 0);
}

TEST_F(BatchLoaderTest, CountsTheTimeThatBatchesWereWaitedFor) {
  const std::vector<uint32_t> order = EpochOrder(11, 0, 10);
  const FakeDataset dataset(10, [&](size_t index) {
    if (index == order[1]) clock_.Advance(absl::Seconds(5));
    return absl::OkStatus();
  });
  const auto loader = Create(dataset, OptionsOf(2, {0, 1}));
  EXPECT_EQ(loader->WaitSeconds(), 0);
  BatchOf(loader.get(), 0);
  EXPECT_EQ(loader->WaitSeconds(), 5);
  clock_.Advance(absl::Seconds(100));  // The step takes its time.
  BatchOf(loader.get(), 0);
  EXPECT_EQ(loader->WaitSeconds(), 5);
}

// One thread is held at an image; a jump must not give it the buffer of
// another batch, and the other threads go on.
TEST_F(BatchLoaderTest, AJumpWaitsForRowsThatAreBeingRead) {
  const std::vector<uint32_t> order = EpochOrder(11, 0, 1000);
  absl::Notification held, go_on;
  std::atomic<bool> first = true;
  const FakeDataset dataset(1000, [&](size_t index) {
    if (index == order[4 + 1] && first.exchange(false)) {  // Of step 1.
      held.Notify();
      go_on.WaitForNotification();
    }
    return absl::OkStatus();
  });
  const auto loader = Create(dataset, OptionsOf(4, AllRows(4)));
  BatchOf(loader.get(), 0);
  held.WaitForNotification();
  std::thread release([&] {
    // A jump that did not wait would have its rows by then, and one of them
    // overwritten after it.
    absl::SleepFor(absl::Milliseconds(100));
    go_on.Notify();
  });
  const std::vector<float> batch = BatchOf(loader.get(), 100);
  release.join();
  for (int row = 0; row < 4; ++row) {
    EXPECT_EQ(std::vector<float>(batch.begin() + row * kSampleSize,
                                 batch.begin() + (row + 1) * kSampleSize),
              Planes(order[400 + row], false));
  }
}

TEST_F(BatchLoaderTest, EndsWithBatchesThatNobodyTook) {
  const FakeDataset dataset(100'000);
  BatchLoader::Options options = OptionsOf(10'000, AllRows(10'000));
  options.prefetch = 9;
  Create(dataset, options)->Batch(0).IgnoreError();
  Create(dataset, options);  // Never asked.
}

TEST_F(BatchLoaderTest, NamesOptionsOutOfRange) {
  const FakeDataset dataset(10);
  const auto expect_refused = [&](const BatchLoader::Options& options,
                                  const std::string& reason) {
    const absl::Status status =
        BatchLoader::Create(&dataset, options, &clock_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
  };
  expect_refused(OptionsOf(11, {0}), "batch_size is 11, must be in [1, 10]");
  expect_refused(OptionsOf(0, {0}), "batch_size is 0");
  expect_refused(OptionsOf(4, {}), "rows is 0, must be in [1, 4]");
  expect_refused(OptionsOf(4, {0, 4}), "row is 4, must be in [0, 3]");
  BatchLoader::Options options = OptionsOf(4, {0});
  options.threads = 0;
  expect_refused(options, "threads is 0, must be in [1, 256]");
  options = OptionsOf(4, {0});
  options.prefetch = 65;
  expect_refused(options, "prefetch is 65, must be in [1, 64]");
  EXPECT_TRUE(absl::IsInvalidArgument(
      Create(dataset, OptionsOf(4, {0}))->Batch(-1).status()));
}

}  // namespace
}  // namespace ddgan

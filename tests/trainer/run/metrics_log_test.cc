#include "trainer/run/metrics_log.h"

#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

MetricsRecord At(int64_t step) {
  MetricsRecord record;
  record.step = step;
  record.images = 32 * step;
  record.time = absl::FromUnixMillis(1700000000123);
  record.d_loss_real = 0.1;
  record.d_loss_fake = 1.0 / 3;
  record.lr_g = 1.5e-4;
  record.lr_d = 1e-4;
  record.images_per_second = 61.5;
  record.data_wait_share = 0.25;
  return record;
}

TEST(MetricsLineTest, HasNoKeyForWhatWasNotComputed) {
  EXPECT_EQ(MetricsLine(At(7)),
            "{\"step\":7,\"images\":224,\"time\":\"2023-11-14T22:13:20.123Z\","
            "\"d_loss_real\":0.10000000000000001,"
            "\"d_loss_fake\":0.33333333333333331,"
            "\"lr_g\":0.00014999999999999999,"
            "\"lr_d\":0.0001,"
            "\"images_per_second\":61.5,\"data_wait_share\":0.25,"
            "\"damaged_images\":0}\n");
}

TEST(MetricsLineTest, HasNothingOfADiscriminatorForADenoiser) {
  MetricsRecord record = At(7);
  record.d_loss_real.reset();
  record.d_loss_fake.reset();
  record.lr_d.reset();
  record.g_loss = 0.5;
  EXPECT_EQ(MetricsLine(record),
            "{\"step\":7,\"images\":224,\"time\":\"2023-11-14T22:13:20.123Z\","
            "\"g_loss\":0.5,\"lr_g\":0.00014999999999999999,"
            "\"images_per_second\":61.5,\"data_wait_share\":0.25,"
            "\"damaged_images\":0}\n");
}

TEST(MetricsLineTest, GivesTheSameDoublesAgain) {
  MetricsRecord record = At(1);
  record.d_loss_real = 0x1.fffffffffffffp-3;
  record.g_loss = std::nextafter(0.7, 1);
  record.r1 = 5e-324;
  record.grad_norm_d = 1e300;
  record.grad_norm_g = -0.0;
  record.gradient_wait_share = 1.0 / 7;
  record.ema_distance = 0x1.23456789abcdep-20;
  record.damaged_images = 3;
  const nlohmann::json json = nlohmann::json::parse(MetricsLine(record));
  EXPECT_EQ(json["d_loss_real"].get<double>(), record.d_loss_real);
  EXPECT_EQ(json["g_loss"].get<double>(), *record.g_loss);
  EXPECT_EQ(json["gradient_wait_share"].get<double>(),
            *record.gradient_wait_share);
  EXPECT_EQ(json["r1"].get<double>(), *record.r1);
  EXPECT_EQ(json["grad_norm_d"].get<double>(), *record.grad_norm_d);
  EXPECT_EQ(json["grad_norm_g"].get<double>(), 0);
  EXPECT_EQ(json["ema_distance"].get<double>(), *record.ema_distance);
  EXPECT_EQ(json["damaged_images"].get<int>(), 3);
}

TEST(MetricsLineTest, IsJsonForAnyNumbers) {
  MetricsRecord record = At(1);
  record.step = std::numeric_limits<int64_t>::max();
  record.images = std::numeric_limits<int64_t>::min();
  record.time = absl::InfiniteFuture();
  const double low = std::numeric_limits<double>::lowest() / 3;
  record.d_loss_real = std::nan("");
  record.d_loss_fake = std::numeric_limits<double>::infinity();
  record.g_loss = -std::numeric_limits<double>::infinity();
  record.r1 = record.grad_norm_d = record.grad_norm_g = low;
  record.lr_g = record.images_per_second = low;
  record.lr_d = low;
  record.data_wait_share = low;
  record.ema_distance = low;
  const std::string line = MetricsLine(record);
  EXPECT_LT(line.size(), 1024u);
  const nlohmann::json json = nlohmann::json::parse(line);
  EXPECT_TRUE(json["d_loss_real"].is_null());
  EXPECT_TRUE(json["d_loss_fake"].is_null());
  EXPECT_TRUE(json["g_loss"].is_null());
  EXPECT_EQ(json["r1"].get<double>(), low);
}

class MetricsLogTest : public ::testing::Test {
 protected:
  // Status of opening, and what is in the file after.
  absl::Status Reopen(int64_t step) {
    return MetricsLog::Open(path_, step).status();
  }
  std::string Lines(const std::vector<int64_t>& steps) {
    std::string text;
    for (const int64_t step : steps) text += MetricsLine(At(step));
    return text;
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "metrics.jsonl";
};

TEST_F(MetricsLogTest, AResumedRunLeavesTheFileOfAnUnbrokenOne) {
  {
    const auto log = MetricsLog::Open(path_, 0);
    ASSERT_TRUE(log.ok()) << log.status();
    for (int64_t step = 1; step <= 5; ++step)
      ASSERT_TRUE((*log)->Append(At(step)).ok());
    EXPECT_TRUE((*log)->Sync().ok());
  }
  const auto log = MetricsLog::Open(path_, 3);
  ASSERT_TRUE(log.ok()) << log.status();
  for (int64_t step = 4; step <= 6; ++step)
    ASSERT_TRUE((*log)->Append(At(step)).ok());
  EXPECT_EQ(ReadBytes(path_), Lines({1, 2, 3, 4, 5, 6}));
}

TEST_F(MetricsLogTest, ANewRunStartsAnEmptyFile) {
  ASSERT_TRUE(Reopen(0).ok());
  EXPECT_THAT(ReadBytes(path_), IsEmpty());
  WriteBytes(path_, Lines({1, 2}));
  ASSERT_TRUE(Reopen(0).ok());
  EXPECT_THAT(ReadBytes(path_), IsEmpty());
}

TEST_F(MetricsLogTest, CutsATornLastLineWhereverItWasTorn) {
  const std::string whole = Lines({25, 50});
  const std::string next = Lines({75});
  for (size_t size = 0; size < next.size(); size += 7) {
    WriteBytes(path_, whole + next.substr(0, size));
    ASSERT_TRUE(Reopen(1000).ok()) << size;
    ASSERT_EQ(ReadBytes(path_), whole) << size;
  }
  // Also where it is the only one.
  WriteBytes(path_, next.substr(0, 30));
  ASSERT_TRUE(Reopen(1000).ok());
  EXPECT_THAT(ReadBytes(path_), IsEmpty());
}

TEST_F(MetricsLogTest, DropsDamagedLinesAndKeepsTheRest) {
  for (const std::string& damaged : std::vector<std::string>{
           "", "not JSON", "[]", "{}", "{\"step\":\"30\"}", "{\"step\":30.5}",
           "{\"step\":0}", "{\"step\":-30}", "{\"step\":18446744073709551615}",
           "{\"step\":1e2}", "{\"step\":30}{\"step\":31}",
           "{\"step\":30,\"step\":31}", std::string(100, '\0'),
           std::string(4000, '['), std::string(5000, 'x'),
           // Steps that were there before.
           "{\"step\":25}", "{\"step\":1}"}) {
    WriteBytes(path_,
               absl::StrCat(Lines({25}), damaged, "\n", Lines({50, 75})));
    ASSERT_TRUE(Reopen(60).ok()) << damaged;
    ASSERT_EQ(ReadBytes(path_), Lines({25, 50})) << damaged;
  }
}

TEST_F(MetricsLogTest, KeepsKeysOfAnotherTrainer) {
  const std::string line = "{\"new\":{\"a\":[1]},\"step\":3}\n";
  WriteBytes(path_, line);
  ASSERT_TRUE(Reopen(3).ok());
  EXPECT_EQ(ReadBytes(path_), line);
}

TEST_F(MetricsLogTest, LeavesAFileAloneInWhichNothingIsOurs) {
  for (const std::string& text :
       {std::string("# Notes\nof mine\n"), std::string(1 << 20, 'x'),
        std::string(10000, '\n'), std::string("a,b\n1,2")}) {
    WriteBytes(path_, text);
    const absl::Status status = Reopen(10);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(
        status.message(),
        absl::StrCat(path_.string(), " is not a log of metrics: move it away"));
    EXPECT_EQ(ReadBytes(path_), text);
  }
}

TEST_F(MetricsLogTest, DoesNotReadAFileWithoutBounds) {
  WriteBytes(path_, "");
  std::filesystem::resize_file(path_, uint64_t{1} << 30);  // Sparse.
  const absl::Status status = Reopen(10);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            absl::StrCat(path_.string(),
                         " has 1073741824 bytes, and a run goes on with at "
                         "most 268435456: move it away"));
}

TEST_F(MetricsLogTest, FollowsNoLinkAndOpensNoFolder) {
  WriteBytes(folder_.path() / "elsewhere", "precious");
  std::filesystem::create_symlink("elsewhere", path_);
  EXPECT_EQ(Reopen(0).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadBytes(folder_.path() / "elsewhere"), "precious");
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_EQ(Reopen(0).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Reopen(0).message()), HasSubstr(path_.string()));
}

TEST_F(MetricsLogTest, NamesAFolderThatIsNotThere) {
  const auto log = MetricsLog::Open(folder_.path() / "no" / "m.jsonl", 0);
  EXPECT_EQ(log.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(log.status().message()), HasSubstr("/no "));
}

TEST_F(MetricsLogTest, NothingStaysOfALineThatTheDiskHasNoRoomFor) {
  const auto log = MetricsLog::Open(path_, 0);
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_TRUE((*log)->Append(At(1)).ok());
  // A limit of this process stands in for a full disk.
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  rlimit small = limit;
  small.rlim_cur = Lines({1}).size() + 10;
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = (*log)->Append(At(2));
  setrlimit(RLIMIT_FSIZE, &limit);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string()));
  EXPECT_EQ(ReadBytes(path_), Lines({1}));
  EXPECT_TRUE((*log)->Append(At(3)).ok());
  EXPECT_EQ(ReadBytes(path_), Lines({1, 3}));
}

}  // namespace
}  // namespace ddgan

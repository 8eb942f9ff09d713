#include "trainer/dataset/encoded/lmdb_images.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/dataset/lmdb_file.h"
#include "trainer/dataset/encoded/image_decoder.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class LmdbImagesTest : public ::testing::Test {
 protected:
  void ExpectError(const fs::path& path, absl::StatusCode code,
                   const std::string& reason) {
    const absl::Status status = OpenLmdb(path).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path.string()), HasSubstr(reason)));
  }

  const TemporaryFolder folder_;
  const fs::path set_ = folder_.path() / "set.lmdb";
  const fs::path file_ = set_ / "data.mdb";
};

TEST_F(LmdbImagesTest, GivesValuesInTheOrderOfKeys) {
  const std::string large(100'000, 'x');  // Pages of its own.
  WriteLmdb(set_, {{"2", "two"}, {"10", large}, {"1", "one"}, {"a\n", ""}});
  for (const fs::path& path : {set_, file_}) {
    const auto images = OpenLmdb(path).value();
    ASSERT_EQ(images->size(), 4u);
    std::string scratch;
    EXPECT_EQ(images->Read(0, &scratch).value(), "one");
    EXPECT_EQ(images->Read(1, &scratch).value(), large);
    EXPECT_EQ(images->Read(2, &scratch).value(), "two");
    EXPECT_EQ(images->Read(3, &scratch).value(), "");
    EXPECT_EQ(images->Name(3), file_.string() + ": key a\\n");
  }
}

TEST_F(LmdbImagesTest, WritesNothing) {
  WriteLmdb(set_, {{"1", "one"}});
  fs::remove(set_ / "lock.mdb");
  ASSERT_TRUE(OpenLmdb(set_).ok());
  EXPECT_FALSE(fs::exists(set_ / "lock.mdb"));
}

TEST_F(LmdbImagesTest, ServesSeveralThreads) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (int i = 100; i < 300; ++i) {
    entries.emplace_back(std::to_string(i), std::to_string(i * 7));
  }
  WriteLmdb(set_, entries);
  const auto images = OpenLmdb(set_).value();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::string scratch;
      for (size_t i = 0; i < entries.size(); ++i) {
        if (images->Read(i, &scratch).value() != entries[i].second) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(LmdbImagesTest, SaysWhatIsMissing) {
  using absl::StatusCode;
  ExpectError(set_, StatusCode::kNotFound,
              "nothing is there; wanted an LMDB database");
  fs::create_directories(set_);
  ExpectError(set_, StatusCode::kNotFound, "data.mdb: nothing is there");
  WriteLmdb(set_, {});
  ExpectError(set_, StatusCode::kNotFound, "the database is empty");
}

TEST_F(LmdbImagesTest, RefusesWhatIsNoDatabase) {
  using absl::StatusCode;
  fs::create_directories(set_);
  WriteBytes(file_, "");
  ExpectError(set_, StatusCode::kInvalidArgument, "0 bytes are no LMDB");
  WriteBytes(file_, std::string(10'000, 'x'));
  ExpectError(set_, StatusCode::kInvalidArgument, "magic number 0x78787878");
  fs::remove(file_);
  fs::create_directories(file_);
  ExpectError(set_, StatusCode::kInvalidArgument, "no regular file");
}

TEST_F(LmdbImagesTest, RefusesPageSizesThatCannotBe) {
  WriteLmdb(set_, {{"1", "one"}});
  const std::string sound = ReadBytes(file_);
  for (const char c : {'\0', '\1', '\x7f'}) {
    std::string damaged = sound;
    damaged.replace(40, 4, 4, c);
    WriteBytes(file_, damaged);
    ExpectError(set_, absl::StatusCode::kDataLoss, "LMDB pages of");
  }
}

// LMDB reads the newer of its first two pages: after one transaction the
// second.
TEST_F(LmdbImagesTest, RefusesAPageSizeThatOnlyTheNewerPageHas) {
  WriteLmdb(set_, {{"1", "one"}});
  const std::string sound = ReadBytes(file_);
  uint32_t page_size = 0;
  std::memcpy(&page_size, sound.data() + 40, sizeof(page_size));
  for (const char c : {'\0', '\1', '\x7f'}) {
    std::string damaged = sound;
    damaged.replace(page_size + 40, 4, 4, c);
    WriteBytes(file_, damaged);
    ExpectError(set_, absl::StatusCode::kDataLoss, "by the second");
  }
  std::string damaged = sound;
  damaged[page_size + 16] ^= 1;
  WriteBytes(file_, damaged);
  ExpectError(set_, absl::StatusCode::kInvalidArgument, "magic number");
}

// LMDB itself would map the file and die when it reads beyond the end.
TEST_F(LmdbImagesTest, NoticesThatTheFileIsCutShort) {
  WriteLmdb(set_, {{"1", std::string(100'000, 'x')}, {"2", "two"}});
  const uintmax_t size = fs::file_size(file_);
  for (const uintmax_t cut : {uintmax_t{1}, size / 2, size - 100}) {
    fs::resize_file(file_, size - cut);
    EXPECT_FALSE(OpenLmdb(set_).ok()) << cut;
  }
}

}  // namespace
}  // namespace ddgan

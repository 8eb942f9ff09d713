#include "trainer/dataset/encoded/unpacked_file.h"

#include <algorithm>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/dataset/idx_file.h"
#include "tests/trainer/dataset/packed_file.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

class UnpackedFileTest : public ::testing::Test {
 protected:
  // The whole content of a file that holds `bytes`, read `turn` bytes at a
  // time.
  absl::StatusOr<std::string> ReadAll(const std::string& bytes,
                                      size_t turn = 1000) {
    WriteFile(path_, bytes);
    absl::StatusOr<std::unique_ptr<UnpackedFile>> reader =
        UnpackedFile::Open(path_);
    if (!reader.ok()) return reader.status();
    std::string content;
    std::vector<uint8_t> buffer(turn);
    while (true) {
      const absl::StatusOr<size_t> read =
          (*reader)->Read(absl::MakeSpan(buffer));
      if (!read.ok()) return read.status();
      content.append(buffer.begin(), buffer.begin() + *read);
      if (*read < turn) return content;
    }
  }

  void ExpectDataLoss(const std::string& bytes, const std::string& reason) {
    const absl::Status status = ReadAll(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string()));
  }

  // Ctest runs each TEST in a process of its own, so names must differ.
  const std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("unpacked_file_test_") +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
  const std::string text_ = DigitFile(200);  // 157 KB, more than one buffer
};

TEST_F(UnpackedFileTest, ReadsPlainFilesAsTheyAre) {
  EXPECT_EQ(ReadAll(text_).value(), text_);
  EXPECT_EQ(ReadAll(text_, 1 << 20).value(), text_);
  EXPECT_EQ(ReadAll("\x1f").value(), "\x1f");
  EXPECT_EQ(ReadAll("").value(), "");
}

TEST_F(UnpackedFileTest, UnpacksGzipWhateverTheTurns) {
  const std::string packed = Gzip(text_);
  for (size_t turn :
       {size_t{1}, size_t{7}, size_t{4096}, text_.size(), text_.size() + 1}) {
    EXPECT_EQ(ReadAll(packed, turn).value(), text_) << turn;
  }
  EXPECT_EQ(ReadAll(Gzip("")).value(), "");
}

TEST_F(UnpackedFileTest, JoinsSeveralMembers) {
  EXPECT_EQ(ReadAll(Gzip("one ") + Gzip("") + Gzip("two")).value(), "one two");
}

TEST_F(UnpackedFileTest, ReportsGzipCutAtAnyPlace) {
  const std::string packed = Gzip("a text that is long enough to be cut");
  for (size_t size = 2; size < packed.size(); ++size) {
    ExpectDataLoss(packed.substr(0, size), "end in the middle");
  }
}

TEST_F(UnpackedFileTest, ReportsBytesAfterTheGzipData) {
  ExpectDataLoss(Gzip("text") + "x", "other bytes follow");
}

TEST_F(UnpackedFileTest, ReportsFlippedBitsInTheCheckedPart) {
  const std::string packed = Gzip(text_);
  for (size_t byte : {packed.size() / 2, packed.size() - 6}) {
    std::string damaged = packed;
    damaged[byte] = static_cast<char>(damaged[byte] ^ 4);
    ExpectDataLoss(damaged, "damaged gzip data");
  }
}

// Within the buffer that was read, beyond it, and beyond the end.
TEST_F(UnpackedFileTest, SkipsInBothKindsOfFile) {
  for (const std::string& bytes : {text_, Gzip(text_)}) {
    WriteFile(path_, bytes);
    for (const size_t turn : {size_t{10}, size_t{100'000}}) {
      const auto reader = UnpackedFile::Open(path_).value();
      EXPECT_EQ(reader->packed(), bytes != text_);
      std::vector<uint8_t> buffer(10);
      ASSERT_EQ(reader->Read(absl::MakeSpan(buffer)).value(), 10u);
      ASSERT_EQ(reader->Skip(turn).value(), turn);
      ASSERT_EQ(reader->Read(absl::MakeSpan(buffer)).value(), 10u);
      EXPECT_EQ(std::string(buffer.begin(), buffer.end()),
                text_.substr(10 + turn, 10));
      EXPECT_EQ(reader->Skip(~uint64_t{0}).value(), text_.size() - 20 - turn);
      EXPECT_EQ(reader->Skip(1).value(), 0u);
      EXPECT_EQ(reader->Read(absl::MakeSpan(buffer)).value(), 0u);
    }
  }
}

TEST_F(UnpackedFileTest, ReportsDamageInWhatItSkips) {
  const std::string packed = Gzip(text_);
  WriteFile(path_, packed.substr(0, packed.size() - 1));
  const auto reader = UnpackedFile::Open(path_).value();
  EXPECT_TRUE(absl::IsDataLoss(reader->Skip(text_.size() + 1).status()));
}

TEST_F(UnpackedFileTest, UnpacksXzBzip2AndZstandard) {
  for (const char* filter : {"xz", "bzip2", "zstd"}) {
    const std::string packed = Packed(filter, text_);
    for (const size_t turn : {100, 1 << 20}) {
      EXPECT_EQ(ReadAll(packed, turn).value(), text_) << filter;
    }
    WriteFile(path_, packed);
    const auto reader = UnpackedFile::Open(path_).value();
    EXPECT_TRUE(reader->packed());
    EXPECT_EQ(reader->Skip(1000).value(), 1000u);
    uint8_t byte = 0;
    EXPECT_EQ(reader->Read(absl::MakeSpan(&byte, 1)).value(), 1u);
    EXPECT_EQ(byte, static_cast<uint8_t>(text_[1000])) << filter;
  }
}

TEST_F(UnpackedFileTest, ReportsOtherDataCutAtAnyPlace) {
  for (const char* filter : {"xz", "bzip2", "zstd"}) {
    const std::string packed = Packed(filter, text_);
    for (size_t size = 6; size < packed.size(); size += packed.size() / 50) {
      EXPECT_TRUE(absl::IsDataLoss(ReadAll(packed.substr(0, size)).status()))
          << filter << " " << size << " of " << packed.size();
    }
  }
}

TEST_F(UnpackedFileTest, RefusesWhatIsCompressedTwice) {
  ExpectDataLoss(Packed("xz", Packed("bzip2", text_)), "more than once");
}

// 1.5 GiB of zeros, which are some 50 KB.
TEST_F(UnpackedFileTest, BoundsWhatAFileUnpacksTo) {
  const std::string zeros(1 << 20, '\0');
  WriteFile(path_, Packed("zstd", zeros, 1536));
  ASSERT_LT(std::filesystem::file_size(path_), 1u << 20);
  const auto reader = UnpackedFile::Open(path_).value();
  const absl::Status status = reader->Skip(uint64_t{1} << 40).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("unpack to more than 256 times as many"));
}

TEST_F(UnpackedFileTest, NamesAFileThatCannotBeRead) {
  const absl::Status missing = UnpackedFile::Open("/nowhere/x").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("/nowhere/x"));
  const absl::Status folder = UnpackedFile::Open(::testing::TempDir()).status();
  EXPECT_FALSE(folder.ok());
  EXPECT_THAT(std::string(folder.message()), HasSubstr("cannot read"));
}

}  // namespace
}  // namespace ddgan

#include "trainer/evaluation/features/feature_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

FeatureSource Tiny(int64_t classes = 2) {
  FeatureSource source;
  source.pictures = "pictures";
  source.shape = {3, 32, 32};
  source.network = "network";
  source.network_digest = std::string(64, '0');
  source.feature_count = 3;
  source.class_count = classes;
  return source;
}

// Rows first, first + 1, ...: every value is another.
PictureFeatures Rows(int64_t first, int64_t count, int64_t classes = 2) {
  PictureFeatures rows;
  rows.features.resize(count * 3);
  std::iota(rows.features.begin(), rows.features.end(), 3.0f * first);
  rows.probabilities.resize(count * classes);
  std::iota(rows.probabilities.begin(), rows.probabilities.end(),
            1000.0f + classes * first);
  return rows;
}

std::vector<float> Values(const FeatureRows& rows) {
  return std::vector<float>(rows.values,
                            rows.values + rows.rows * rows.features);
}

void ExpectRows(FeatureFile* file, int64_t rows, int64_t classes = 2) {
  ASSERT_GE(file->rows(), rows);
  const auto content = file->Read(rows);
  ASSERT_TRUE(content.ok()) << content.status();
  const PictureFeatures wanted = Rows(0, rows, classes);
  EXPECT_EQ(content->features.rows, rows);
  EXPECT_EQ(content->features.features, 3);
  EXPECT_THAT(Values(content->features), ElementsAreArray(wanted.features));
  EXPECT_EQ(content->probabilities.features, classes);
  EXPECT_THAT(Values(content->probabilities),
              ElementsAreArray(wanted.probabilities));
}

TEST(FeatureFileNameTest, EachPartOfTheSourceGivesAnotherName) {
  std::vector<FeatureSource> sources(8, Tiny());
  sources[1].pictures = "others";
  sources[2].shape.channels = 1;
  sources[3].shape = {3, 64, 64};
  sources[4].network = "another";
  sources[5].network_digest = std::string(64, '1');
  sources[6].feature_count = 4;
  sources[7].class_count = 0;
  std::set<std::string> names;
  for (const FeatureSource& source : sources)
    names.insert(FeatureFileName(source));
  EXPECT_EQ(names.size(), sources.size());
}

class FeatureFileTest : public ::testing::Test {
 protected:
  std::unique_ptr<FeatureFile> Open(const FeatureSource& source = Tiny()) {
    auto file = FeatureFile::Open(path_, source);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? *std::move(file) : nullptr;
  }
  absl::Status OpenStatus(const FeatureSource& source = Tiny()) {
    return FeatureFile::Open(path_, source).status();
  }
  fs::path Part(const char* ending) const { return path_.string() + ending; }

  const TemporaryFolder folder_;
  const fs::path path_ = folder_.path() / "a.features";
};

TEST_F(FeatureFileTest, GrowsAndComesBack) {
  {
    const auto file = Open();
    EXPECT_EQ(file->rows(), 0);
    ExpectRows(file.get(), 0);
    ASSERT_TRUE(file->Append(Rows(0, 4)).ok());
    EXPECT_EQ(file->rows(), 4);
    ExpectRows(file.get(), 3);
    ASSERT_TRUE(file->Append(Rows(4, 1)).ok());
    ExpectRows(file.get(), 5);
  }
  const auto file = Open();
  EXPECT_EQ(file->rows(), 5);
  ASSERT_TRUE(file->Append(Rows(5, 3)).ok());
  ExpectRows(file.get(), 8);
  ExpectRows(file.get(), 1);
  EXPECT_EQ(file->Read(9).status(),
            absl::OutOfRangeError(path_.string() + " has 8 rows, not 9"));
  EXPECT_EQ(file->Read(-1).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(FeatureFileTest, WithoutClassesThereAreNoProbabilities) {
  const auto file = Open(Tiny(0));
  ASSERT_TRUE(file->Append(Rows(0, 2, 0)).ok());
  const auto content = file->Read(2);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(content->features.rows, 2);
  EXPECT_EQ(content->probabilities.values, nullptr);
  EXPECT_EQ(content->probabilities.rows, 0);
  EXPECT_FALSE(fs::exists(Part(".probabilities")));
}

// What a process that dies leaves: each file is written in order, so the ones
// before the cut are whole, and those after it have nothing new.
TEST_F(FeatureFileTest, AKillBetweenAnyTwoBytesCostsTheLastBlockAlone) {
  const std::string parts[] = {".matrix", ".probabilities", ""};
  std::string before[3], after[3];
  {
    const auto file = Open();
    ASSERT_TRUE(file->Append(Rows(0, 4)).ok());
    for (int i = 0; i < 3; ++i) before[i] = ReadBytes(Part(parts[i].c_str()));
    ASSERT_TRUE(file->Append(Rows(4, 2)).ok());
    for (int i = 0; i < 3; ++i) after[i] = ReadBytes(Part(parts[i].c_str()));
  }
  for (int cut = 0; cut < 3; ++cut) {
    for (size_t size = before[cut].size(); size <= after[cut].size(); ++size) {
      for (int i = 0; i < 3; ++i) {
        WriteBytes(Part(parts[i].c_str()), i < cut    ? after[i]
                                           : i == cut ? after[i].substr(0, size)
                                                      : before[i]);
      }
      const auto file = Open();
      ASSERT_NE(file, nullptr);
      const bool whole = cut == 2 && size == after[2].size();
      ASSERT_EQ(file->rows(), whole ? 6 : 4) << parts[cut] << " " << size;
      if (!whole) {
        ASSERT_TRUE(file->Append(Rows(4, 2)).ok());
      }
      ExpectRows(file.get(), 6);
      for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(ReadBytes(Part(parts[i].c_str())), after[i]);
      }
    }
  }
}

TEST_F(FeatureFileTest, AKillWhileTheFirstLineIsWrittenCostsNothing) {
  Open();
  const std::string header = ReadBytes(path_);
  for (size_t size = 0; size < header.size(); ++size) {
    WriteBytes(path_, header.substr(0, size));
    const auto file = Open();
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(file->rows(), 0);
    EXPECT_EQ(ReadBytes(path_), header);
  }
}

TEST_F(FeatureFileTest, AnotherSourceIsRefusedAndNothingIsTouched) {
  ASSERT_TRUE(Open()->Append(Rows(0, 4)).ok());
  const std::string matrix = ReadBytes(Part(".matrix"));
  FeatureSource other = Tiny();
  other.pictures = "others";
  const absl::Status status = OpenStatus(other);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            absl::StrCat(path_.string(),
                         ": features of something else: pictures is "
                         "\"pictures\", not \"others\""));
  EXPECT_EQ(ReadBytes(Part(".matrix")), matrix);
  ExpectRows(Open().get(), 4);
}

TEST_F(FeatureFileTest, DamageIsFoundAndSaysWhatToDo) {
  ASSERT_TRUE(Open()->Append(Rows(0, 4)).ok());
  for (const char* part : {".matrix", ".probabilities"}) {
    const std::string whole = ReadBytes(Part(part));
    std::string damaged = whole;
    damaged[9] = static_cast<char>(damaged[9] ^ 1);
    WriteBytes(Part(part), damaged);
    const absl::Status status = Open()->Read(1).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(status.message(),
              absl::StrCat(path_.string(),
                           ": rows 0 to 3 have another digest than when they "
                           "were written; remove the file to compute them "
                           "anew"));
    // Shorter than its lines say.
    WriteBytes(Part(part), whole.substr(0, whole.size() - 1));
    const absl::Status shorter = OpenStatus();
    EXPECT_EQ(shorter.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(shorter.message()),
                AllOf(HasSubstr(absl::StrCat(whole.size() - 1, " bytes")),
                      HasSubstr("remove the file")));
    WriteBytes(Part(part), whole);
  }
  ExpectRows(Open().get(), 4);
  // Somebody else's file is not taken for one that was only begun.
  WriteBytes(path_, "my notes");
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadBytes(path_), "my notes");
  // Removed, all begins anew, whatever the other files hold.
  fs::remove(path_);
  const auto file = Open();
  EXPECT_EQ(file->rows(), 0);
  EXPECT_EQ(fs::file_size(Part(".matrix")), 0u);
}

TEST_F(FeatureFileTest, IsOpenOnce) {
  const auto file = Open();
  EXPECT_EQ(
      OpenStatus(),
      absl::UnavailableError(path_.string() + " is in use by another process"));
}

TEST_F(FeatureFileTest, IsOpenTwiceOnceItIsShared) {
  const auto file = Open();
  ASSERT_TRUE(file->Append(Rows(0, 2)).ok());
  file->Share();
  const auto other = Open();
  ASSERT_TRUE(other->Append(Rows(2, 3)).ok());
  ExpectRows(other.get(), 5);
  ExpectRows(file.get(), 2);
}

TEST_F(FeatureFileTest, RefusesWhatIsNotWholeRows) {
  const auto file = Open();
  PictureFeatures rows = Rows(0, 2);
  rows.features.pop_back();
  EXPECT_EQ(file->Append(rows),
            absl::InvalidArgumentError(absl::StrCat(
                path_.string(),
                ": 5 features and 4 probabilities are no whole rows")));
  rows = Rows(0, 2);
  rows.probabilities.pop_back();
  EXPECT_EQ(file->Append(rows).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(file->Append({}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(file->rows(), 0);
}

TEST_F(FeatureFileTest, RefusesNamesOfOtherThings) {
  fs::create_directory(path_);
  EXPECT_FALSE(OpenStatus().ok());
  fs::remove(path_);
  WriteBytes(folder_.path() / "target", "");
  fs::create_symlink(folder_.path() / "target", path_);
  EXPECT_FALSE(OpenStatus().ok());
  fs::remove(path_);
  EXPECT_EQ(FeatureFile::Open(folder_.path() / "absent" / "x", Tiny())
                .status()
                .code(),
            absl::StatusCode::kNotFound);
  FeatureSource empty = Tiny();
  empty.feature_count = 0;
  EXPECT_EQ(OpenStatus(empty).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(fs::exists(path_));
}

// A limit on the size of files stands for a full disk.
TEST_F(FeatureFileTest, AnAppendThatFailsLeavesTheFileAsItWas) {
  const auto file = Open();
  ASSERT_TRUE(file->Append(Rows(0, 4)).ok());
  const std::string journal = ReadBytes(path_);
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  // In the middle of the rows; of the line.
  for (const rlim_t limit : {rlim_t{60}, rlim_t{journal.size() + 20}}) {
    struct rlimit less = before;
    less.rlim_cur = limit;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &less), 0);
    const absl::Status status = file->Append(Rows(4, 2));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_THAT(std::string(status.message()), HasSubstr("cannot write"));
    EXPECT_EQ(file->rows(), 4);
    EXPECT_EQ(ReadBytes(path_), journal);
    EXPECT_EQ(fs::file_size(Part(".matrix")), 4u * 3 * sizeof(float));
    EXPECT_EQ(fs::file_size(Part(".probabilities")), 4u * 2 * sizeof(float));
    ExpectRows(file.get(), 4);
  }
  ASSERT_TRUE(file->Append(Rows(4, 2)).ok());
  ExpectRows(file.get(), 6);
}

}  // namespace
}  // namespace ddgan

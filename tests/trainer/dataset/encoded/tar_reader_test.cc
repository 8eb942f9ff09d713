#include "trainer/dataset/encoded/tar_reader.h"

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/mutated_bytes.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/dataset/idx_file.h"
#include "tests/trainer/dataset/tar_file.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

using Members = std::vector<std::pair<std::string, std::string>>;

class TarReaderTest : public ::testing::Test {
 protected:
  // Path and content of every file in the archive; every second content is
  // passed over and given as "-" if `skip_some`.
  absl::StatusOr<Members> ReadAll(const std::string& bytes,
                                  bool skip_some = false) {
    WriteBytes(path_, bytes);
    absl::StatusOr<std::unique_ptr<TarReader>> reader = TarReader::Open(path_);
    if (!reader.ok()) return reader.status();
    Members members;
    while (true) {
      absl::StatusOr<std::optional<TarMember>> member = (*reader)->Next();
      if (!member.ok()) return member.status();
      if (!*member) return members;
      if ((*member)->kind != TarMember::Kind::kFile) {
        members.emplace_back((*member)->path, "-> " + (*member)->target);
        continue;
      }
      std::string content = "-";
      const bool reads = !skip_some || members.size() % 2 == 1;
      // As a caller does: nothing of a size that the file cannot have.
      if (reads && (*member)->size <= 1 << 20) {
        if (absl::Status s = (*reader)->ReadContent(&content); !s.ok()) {
          return s;
        }
      }
      if (!(*reader)->packed() && reads) {
        EXPECT_EQ(bytes.substr((*member)->offset, (*member)->size), content);
      }
      members.emplace_back((*member)->path, content);
    }
  }

  void ExpectDataLoss(const std::string& bytes, const std::string& reason) {
    for (const std::string& archive : {bytes, Gzip(bytes)}) {
      const absl::Status status = ReadAll(archive, true).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
      EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string()));
    }
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "archive";
};

TEST_F(TarReaderTest, ReadsFilesOfAnySize) {
  const std::string large(70'000, 'x');
  const std::string bytes = TarFile("a", "one") + TarFile("b", "") +
                            TarFile("c", std::string(512, 'y')) +
                            TarFile("d", large) + TarFile("e", "end") +
                            TarEnd();
  for (const std::string& archive : {bytes, Gzip(bytes)}) {
    EXPECT_THAT(ReadAll(archive).value(),
                ElementsAre(Pair("a", "one"), Pair("b", ""),
                            Pair("c", std::string(512, 'y')), Pair("d", large),
                            Pair("e", "end")));
    EXPECT_THAT(ReadAll(archive, true).value(),
                ElementsAre(Pair("a", "-"), Pair("b", ""), Pair("c", "-"),
                            Pair("d", large), Pair("e", "-")));
  }
}

TEST_F(TarReaderTest, JoinsPrefixAndName) {
  EXPECT_THAT(
      ReadAll(TarHeader("name", 0, '0', "some/folder") + TarEnd()).value(),
      ElementsAre(Pair("some/folder/name", "")));
}

TEST_F(TarReaderTest, KnowsGnuLongNamesAndPaxPathAndSize) {
  const std::string name = std::string(300, 'n') + "/x";
  const std::string pax = PaxRecord("mtime", "1.5") + PaxRecord("path", name) +
                          PaxRecord("size", "3");
  EXPECT_THAT(ReadAll(LongName(name) + TarFile("short", "one") +
                      TarFile("after", "two") + TarFile("pax", pax, 'x') +
                      TarHeader("short", 0) + Padded("abc") +
                      TarFile("last", "end") + TarEnd())
                  .value(),
              ElementsAre(Pair(name, "one"), Pair("after", "two"),
                          Pair(name, "abc"), Pair("last", "end")));
}

TEST_F(TarReaderTest, PassesOverWhatIsNoFile) {
  EXPECT_THAT(
      ReadAll(TarHeader("folder/", 0, '5') + TarHeader("device", 0, '3') +
              TarFile("global", PaxRecord("path", "wrong"), 'g') +
              TarFile("././@LongLink", "target", 'K') +
              TarFile("unknown", "data", 'Z') + LongName("of a folder") +
              TarHeader("folder/", 0, '5') + TarFile("file", "yes") + TarEnd() +
              "what follows is not read")
          .value(),
      ElementsAre(Pair("file", "yes")));
}

// Whatever their sizes say, no data follow them.
TEST_F(TarReaderTest, GivesLinksWithTheirTargets) {
  std::string hard = TarHeader("hard", 99, '1');
  hard.replace(157, 6, "target");
  std::string soft = TarHeader("soft", 99, '2');
  soft.replace(157, 9, "../target");
  const std::string name(200, 'n');
  EXPECT_THAT(
      ReadAll(WithChecksum(hard) + WithChecksum(soft) +
              TarFile("././@LongLink", name + std::string(1, '\0'), 'K') +
              TarHeader("long", 0, '1') +
              TarFile("pax", PaxRecord("linkpath", "of pax"), 'x') +
              TarHeader("pax", 0, '2') + TarFile("file", "yes") + TarEnd())
          .value(),
      ElementsAre(Pair("hard", "-> target"), Pair("soft", "-> ../target"),
                  Pair("long", "-> " + name), Pair("pax", "-> of pax"),
                  Pair("file", "yes")));
  ExpectDataLoss(TarHeader("hard", 0, '1') + TarEnd(), "a path of 0 bytes");
}

TEST_F(TarReaderTest, ReadsOldHeadersAndBinarySizes) {
  std::string old = TarHeader("old", 3, '\0');
  old.replace(257, 255, 255, '\0');
  std::string binary = TarHeader("binary", 0);
  binary.replace(124, 12, std::string("\x80\0\0\0\0\0\0\0\0\0\0\x02", 12));
  EXPECT_THAT(ReadAll(WithChecksum(old) + Padded("abc") + WithChecksum(binary) +
                      Padded("de") + TarEnd())
                  .value(),
              ElementsAre(Pair("old", "abc"), Pair("binary", "de")));
}

TEST_F(TarReaderTest, RefusesWhatIsNoArchive) {
  ExpectDataLoss("", "cut short");
  ExpectDataLoss("hello", "cut short");
  ExpectDataLoss(std::string(1024, 'x'), "not a tar archive");
}

TEST_F(TarReaderTest, ReportsArchivesCutAtAnyPlace) {
  const std::string bytes = TarFile("a", "one") + TarFile("b", "two");
  for (size_t size = 0; size <= bytes.size(); size += 64) {
    ExpectDataLoss(bytes.substr(0, size), "cut short");
  }
  // The gzip data's end is looked at, though the archive's is found before.
  const std::string packed = Gzip(bytes + TarEnd());
  EXPECT_TRUE(
      absl::IsDataLoss(ReadAll(packed.substr(0, packed.size() - 4)).status()));
}

TEST_F(TarReaderTest, ChecksHeaders) {
  std::string header = TarFile("b", "two");
  header[0] = 'c';
  ExpectDataLoss(TarFile("a", "one") + header + TarEnd(),
                 "checksum does not fit at byte 1024");
  std::string size = TarHeader("a", 0);
  size.replace(124, 11, "99999999999");
  ExpectDataLoss(TarFile("a", "") + WithChecksum(size) + TarEnd(),
                 "no valid size");
  size.replace(124, 12, std::string(12, '\xff'));  // -1
  ExpectDataLoss(TarFile("a", "") + WithChecksum(size) + TarEnd(),
                 "no valid size");
}

TEST_F(TarReaderTest, BelievesNoHugeClaims) {
  // 8 GiB that are not there.
  ExpectDataLoss(TarHeader("a", (uint64_t{1} << 33) - 1) + TarEnd(),
                 "cut short");
  std::string size = TarHeader("a", 0);
  size.replace(124, 12,
               std::string("\x80\0\0\0\x7f", 5) + std::string(7, '\xff'));
  ExpectDataLoss(WithChecksum(size) + TarEnd(), "bytes of data");
  ExpectDataLoss(TarHeader("long", 1 << 20, 'L') + TarEnd(),
                 "allowed are at most 65536");
  ExpectDataLoss(TarHeader("pax", 1 << 20, 'x') + TarEnd(),
                 "allowed are at most 65536");
  ExpectDataLoss(LongName(std::string(5000, 'n')) + TarFile("a", "") + TarEnd(),
                 "a path of 5000 bytes");
  ExpectDataLoss(
      TarFile("pax", PaxRecord("size", "18446744073709551616"), 'x') +
          TarFile("a", "") + TarEnd(),
      "pax records of a wrong form");
}

TEST_F(TarReaderTest, ChecksPaxRecords) {
  for (const std::string& records :
       {std::string("x"), std::string("99 path=a\n"), std::string("3 a"),
        std::string("0 path=a\n"), std::string("7 path\n"),
        std::string("11 path=a\n"), std::string("99999999999999999999 p=a\n"),
        std::string("9 size=x\n"), std::string("1\n")}) {
    ExpectDataLoss(TarFile("pax", records, 'x') + TarFile("a", "") + TarEnd(),
                   "pax records of a wrong form");
  }
  ExpectDataLoss(
      TarFile("pax", PaxRecord("path", ""), 'x') + TarFile("a", "") + TarEnd(),
      "a path of 0 bytes");
  ExpectDataLoss(
      TarFile("pax", PaxRecord("path", std::string("a\0b", 3)), 'x') +
          TarFile("a", "") + TarEnd(),
      "a path of 3 bytes");
}

TEST_F(TarReaderTest, SurvivesDamage) {
  const std::string bytes =
      LongName(std::string(200, 'n')) + TarFile("short", "one") +
      TarFile("pax", PaxRecord("path", "p") + PaxRecord("size", "3"), 'x') +
      TarHeader("short", 0) + Padded("abc") + TarEnd();
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = MutatedBytes(bytes, bytes.size(), &random);
    // With its checksum mended the first header gets further.
    if (i % 2 == 0 && damaged.size() > 512) {
      damaged = WithChecksum(damaged.substr(0, 512)) + damaged.substr(512);
    }
    const absl::Status status = ReadAll(damaged, true).status();
    if (!status.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    }
  }
}

TEST_F(TarReaderTest, NamesAFileThatIsNotThere) {
  EXPECT_TRUE(absl::IsNotFound(TarReader::Open("/nowhere/x").status()));
}

}  // namespace
}  // namespace ddgan

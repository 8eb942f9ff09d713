#include "trainer/evaluation/features/feature_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/fakes/mutated_bytes.h"

namespace ddgan {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

FeatureSource Digits() {
  FeatureSource source;
  source.pictures = "mnist of digest 12";
  source.shape = {1, 32, 32};
  source.network = "digits";
  source.network_digest = std::string(64, 'a');
  source.feature_count = 512;
  source.class_count = 10;
  return source;
}

JournalBlock Block(int64_t rows) {
  return {rows, std::string(64, 'b'), std::string(64, 'c')};
}

absl::Status StatusOf(const std::string& text, const FeatureSource& source) {
  return ParseFeatureJournal(text, source).status();
}

TEST(FeatureJournalTest, ReadsBackWhatItWrote) {
  const std::string text =
      HeaderLine(Digits()) + BlockLine(Block(64)) + BlockLine(Block(3));
  const auto journal = ParseFeatureJournal(text, Digits());
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ(journal->rows, 67);
  EXPECT_EQ(journal->bytes, text.size());
  ASSERT_EQ(journal->blocks.size(), 2u);
  EXPECT_EQ(journal->blocks[1].rows, 3);
  EXPECT_EQ(journal->blocks[1].features, std::string(64, 'b'));
  EXPECT_EQ(journal->blocks[1].probabilities, std::string(64, 'c'));
}

TEST(FeatureJournalTest, CutShortAnywhereItKeepsTheLinesThatAreWhole) {
  const std::string header = HeaderLine(Digits());
  const std::string first = BlockLine(Block(64));
  const std::string text = header + first + BlockLine(Block(3));
  for (size_t size = 0; size <= text.size(); ++size) {
    const auto journal = ParseFeatureJournal(text.substr(0, size), Digits());
    ASSERT_TRUE(journal.ok()) << size << " bytes: " << journal.status();
    const bool has_first = size >= header.size() + first.size();
    EXPECT_EQ(journal->rows, size == text.size() ? 67 : has_first ? 64 : 0);
    EXPECT_EQ(journal->bytes, size == text.size() ? size
                              : has_first         ? header.size() + first.size()
                              : size < header.size() ? 0
                                                     : header.size());
  }
}

TEST(FeatureJournalTest, ALastLineWithItsEndAloneIsOfAnInterruptedWrite) {
  const std::string whole = HeaderLine(Digits()) + BlockLine(Block(64));
  const auto journal =
      ParseFeatureJournal(whole + std::string(90, '\0') + "\n", Digits());
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ(journal->rows, 64);
  EXPECT_EQ(journal->bytes, whole.size());
}

TEST(FeatureJournalTest, NamesWhatIsDifferent) {
  const auto message = [](const auto& change) {
    FeatureSource other = Digits();
    change(&other);
    const absl::Status status =
        StatusOf(HeaderLine(other) + BlockLine(Block(1)), Digits());
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return std::string(status.message());
  };
  EXPECT_EQ(message([](FeatureSource* s) { s->pictures = "cifar10"; }),
            "features of something else: pictures is \"cifar10\", not "
            "\"mnist of digest 12\"");
  EXPECT_EQ(message([](FeatureSource* s) {
              s->shape = {3, 32, 32};
            }),
            "features of something else: shape is \"3x32x32\", not "
            "\"1x32x32\"");
  EXPECT_EQ(message([](FeatureSource* s) { s->network = "a.pt"; }),
            "features of something else: network is \"a.pt\", not \"digits\"");
  EXPECT_THAT(message([](FeatureSource* s) { s->network_digest = "d"; }),
              HasSubstr("network_digest is \"d\", not"));
  EXPECT_EQ(message([](FeatureSource* s) { s->feature_count = 1536; }),
            "features of something else: feature_count is 1536, not 512");
  EXPECT_EQ(message([](FeatureSource* s) { s->class_count = 0; }),
            "features of something else: class_count is 0, not 10");
}

TEST(FeatureJournalTest, RefusesWhatIsNoJournal) {
  const std::string header = HeaderLine(Digits());
  const std::string block = BlockLine(Block(1));
  for (const std::string& text :
       {std::string("\n"), std::string("{}\n"), std::string("[1]\n"),
        std::string("{\"kind\":\"ddgan features 2\"}\n"),
        std::string("\x89PNG\r\n\x1a\n"), std::string("x"),
        std::string(300000, 'x'), std::string(100000, '[') + "\n",
        // As the header but for a space.
        " " + header, header + "{\"rows\":1}\n" + block,
        header + "{\"rows\":0,\"features\":\"\"}\n" + block,
        header + "\n" + block}) {
    EXPECT_EQ(StatusOf(text, Digits()).code(), absl::StatusCode::kDataLoss)
        << text.substr(0, 100);
  }
  // Sizes that no file has.
  std::string many = header;
  for (int i = 0; i < 3; ++i) {
    many += BlockLine(Block(FeatureJournal::kMaxRows / 2));
  }
  EXPECT_EQ(StatusOf(many, Digits()).code(), absl::StatusCode::kDataLoss);
  for (const int64_t rows :
       {int64_t{0}, int64_t{-1}, FeatureJournal::kMaxRows + 1}) {
    EXPECT_EQ(
        StatusOf(header + BlockLine(Block(rows)) + block, Digits()).code(),
        absl::StatusCode::kDataLoss);
  }
}

TEST(FeatureJournalTest, SurvivesAnyDamage) {
  const std::string text =
      HeaderLine(Digits()) + BlockLine(Block(64)) + BlockLine(Block(3));
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::string mutated = MutatedBytes(text, text.size(), &random);
    const auto journal = ParseFeatureJournal(mutated, Digits());
    EXPECT_THAT(journal.status().code(),
                AnyOf(absl::StatusCode::kOk, absl::StatusCode::kDataLoss,
                      absl::StatusCode::kFailedPrecondition));
    if (journal.ok()) {
      EXPECT_LE(journal->bytes, mutated.size());
    }
  }
}

TEST(FeatureJournalTest, ANameOfAnyBytesComparesWithItself) {
  FeatureSource source = Digits();
  source.pictures = "\xff\x01 \"quoted\" \xc3\xa4 \n";
  const auto journal = ParseFeatureJournal(HeaderLine(source), source);
  EXPECT_TRUE(journal.ok()) << journal.status();
  FeatureSource other = source;
  other.network = "another";
  EXPECT_EQ(StatusOf(HeaderLine(other), source).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(FeatureJournalTest, ChecksSizes) {
  EXPECT_TRUE(CheckSource(Digits()).ok());
  FeatureSource source = Digits();
  source.feature_count = 0;
  EXPECT_EQ(CheckSource(source).message(),
            "feature_count is 0, must be in [1, 1048576]");
  source = Digits();
  source.class_count = -1;
  EXPECT_EQ(CheckSource(source).message(),
            "class_count is -1, must be in [0, 1048576]");
  source = Digits();
  source.pictures = std::string(5000, 'x');
  EXPECT_EQ(CheckSource(source).message(),
            "pictures has 5000 bytes, must have at most 4096");
  // The longest header there is can be read again.
  source.pictures = source.network = source.network_digest =
      std::string(4096, '\xff');
  ASSERT_TRUE(CheckSource(source).ok());
  EXPECT_TRUE(ParseFeatureJournal(HeaderLine(source), source).ok());
}

}  // namespace
}  // namespace ddgan

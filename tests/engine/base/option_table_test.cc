#include "engine/base/option_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

Option Row(OptionTarget target, OptionRange range = kAny,
           const std::string& default_text = "", const char* unit = "") {
  return {"name", "Group", unit,        std::move(target),
          range,  "help",  default_text};
}

// What is wrong with `text`; empty if it was stored.
std::string Refusal(const Option& option, const std::string& text) {
  return std::string(SetOption(option, text).message());
}

TEST(SetOptionTest, ReadsWholeNumbersOfEveryTypeWithinTheirRange) {
  int count = 0;
  const Option option = Row(&count, Between(1, 64));
  EXPECT_EQ(Refusal(option, "64"), "");
  EXPECT_EQ(count, 64);
  for (const char* text :
       {"0", "65", "-1", "1.0", "", "many", "18446744073709551617"}) {
    EXPECT_EQ(Refusal(option, text), "must be a whole number in [1, 64]")
        << text;
  }
  EXPECT_EQ(count, 64);

  uint64_t seed = 0;
  EXPECT_EQ(Refusal(Row(&seed), "18446744073709551615"), "");
  EXPECT_EQ(seed, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(Refusal(Row(&seed), "-1"),
            "must be a whole number in [0, 18446744073709551615]");
  int64_t version = 0;
  EXPECT_EQ(Refusal(Row(&version, AtLeast(1)), "9223372036854775807"), "");
  EXPECT_EQ(Refusal(Row(&version, AtLeast(1)), "0"),
            "must be a whole number in [1, 9223372036854775807]");
  uint32_t index = 0;
  EXPECT_EQ(Refusal(Row(&index), "4294967296"),
            "must be a whole number in [0, 4294967295]");
}

TEST(SetOptionTest, ReadsBytesInTheirUnitAndNumbersWithoutAVariable) {
  int64_t bytes = 0;
  const Option option = Row(Bytes{&bytes, 20}, Between(16, 1 << 20));
  EXPECT_EQ(Refusal(option, "300"), "");
  EXPECT_EQ(bytes, 300 << 20);
  EXPECT_EQ(OptionText(option), "300");
  EXPECT_EQ(Refusal(option, "15"), "must be a whole number in [16, 1048576]");
  uint64_t set = 0;
  const NumberSetter setter = [&set](uint64_t n) { set = n; };
  EXPECT_EQ(Refusal(Row(setter, Between(1, 9)), "9"), "");
  EXPECT_EQ(set, 9u);
  EXPECT_EQ(Refusal(Row(setter, Between(1, 9)), "10"),
            "must be a whole number in [1, 9]");
}

TEST(SetOptionTest, ReadsNumbersWithAFractionAndNoNaN) {
  double share = 0;
  for (const char* text : {"-0.1", "1.1", "nan", "half", ""}) {
    EXPECT_EQ(Refusal(Row(&share, Between(0, 1)), text),
              "must be a number in [0, 1]")
        << text;
  }
  EXPECT_EQ(Refusal(Row(&share), "nan"), "must be a number");
  EXPECT_EQ(Refusal(Row(&share, AtLeast(1)), "0.9"),
            "must be a number in [1, inf]");
  EXPECT_EQ(Refusal(Row(&share, AtLeast(1)), "inf"), "");
  for (const double value : {0.9999999, 1.6e-4, 1.0 / 3, 1e6}) {
    share = value;
    EXPECT_EQ(Refusal(Row(&share), OptionText(Row(&share))), "");
    EXPECT_EQ(share, value);
  }
  share = 1e-4;
  EXPECT_EQ(OptionText(Row(&share)), "0.0001");
}

TEST(SetOptionTest, ReadsTimesWithAUnit) {
  absl::Duration wait;
  const Option option =
      Row(&wait, Between(absl::ZeroDuration(), absl::Hours(1)));
  EXPECT_EQ(Refusal(option, "250ms"), "");
  EXPECT_EQ(wait, absl::Milliseconds(250));
  for (const char* text : {"-1s", "61m", "5", "soon", "inf", ""}) {
    EXPECT_EQ(Refusal(option, text),
              "must be a time in [0s, 1h], such as 500ms or 10s")
        << text;
  }
}

TEST(SetOptionTest, ReadsAPlainNumberAsSecondsWhereThatIsMeant) {
  absl::Duration timeout;
  const Option option =
      Row(TimeOrSeconds{&timeout},
          Between(absl::Nanoseconds(1), absl::InfiniteDuration()));
  EXPECT_EQ(Refusal(option, "1.5"), "");
  EXPECT_EQ(timeout, absl::Milliseconds(1500));
  EXPECT_EQ(Refusal(option, "2m"), "");
  EXPECT_EQ(timeout, absl::Minutes(2));
  for (const char* text : {"0", "-1s", "-1", "soon", "nan", ""}) {
    EXPECT_EQ(Refusal(option, text),
              "must be a time in [1ns, inf], such as 500ms or 10s")
        << text;
  }
}

TEST(SetOptionTest, ReadsListsWithARangeForEachElement) {
  std::vector<int> sizes;
  EXPECT_EQ(Refusal(Row(&sizes, Between(1, 256)), "256,8"), "");
  EXPECT_THAT(sizes, ElementsAre(256, 8));
  for (const char* text : {"8,0", "8,", "1,x", ""}) {
    EXPECT_EQ(Refusal(Row(&sizes, Between(1, 256)), text),
              "must be a list of whole numbers in [1, 256]")
        << text;
  }
  EXPECT_EQ(OptionText(Row(&sizes)), "256,8");
  EXPECT_EQ(Refusal(Row(&sizes), "x"), "must be a list of whole numbers");
  EXPECT_EQ(Refusal(Row(&sizes), ""), "");
  EXPECT_THAT(sizes, ElementsAre());
  std::vector<absl::Duration> waits;
  EXPECT_EQ(Refusal(Row(&waits), "1ms,0s"), "");
  EXPECT_THAT(waits, ElementsAre(absl::Milliseconds(1), absl::ZeroDuration()));
}

TEST(SetOptionTest, ReadsSwitchesTextsAndChoices) {
  bool flip = false;
  EXPECT_EQ(Refusal(Row(&flip), "true"), "");
  EXPECT_TRUE(flip);
  EXPECT_EQ(Refusal(Row(&flip), "maybe"), "must be one of: true, false");
  std::string text;
  EXPECT_EQ(Refusal(Row(&text), ""), "");
  EXPECT_EQ(Refusal(Row(&text, kNotEmpty), ""), "must not be empty");
  EXPECT_EQ(Refusal(Row(OneOf(&text, {"cpu", "cuda"})), "cuda"), "");
  EXPECT_EQ(text, "cuda");
  EXPECT_EQ(Refusal(Row(OneOf(&text, {"cpu", "cuda"})), "tpu"),
            "must be one of: cpu, cuda");
  const Option number = Row(OneOf(&flip, {{"yes", true}, {"no", false}}));
  EXPECT_EQ(OptionText(number), "yes");
  EXPECT_EQ(Refusal(number, "no"), "");
  EXPECT_FALSE(flip);
  const Option own = Row(TextReader([](absl::string_view value) {
    return value == "a" ? absl::OkStatus()
                        : absl::InvalidArgumentError("must be a");
  }));
  EXPECT_EQ(Refusal(own, "a"), "");
  EXPECT_EQ(Refusal(own, "b"), "must be a");
}

TEST(OptionLimitsTest, SaysUnitRangeAndDefault) {
  int count = 3;
  EXPECT_EQ(OptionPlaceholder(Row(&count)), "N");
  EXPECT_EQ(OptionPlaceholder(Row(&count, kAny, "", "pixels")), "pixels");
  EXPECT_EQ(OptionLimits(Row(&count, Between(1, 64))), "in [1, 64]; default 3");
  EXPECT_EQ(OptionLimits(Row(&count, AtLeast(1))), "at least 1; default 3");
  EXPECT_EQ(OptionLimits(Row(&count, kAny, "the data set's")),
            "default the data set's");
  std::string text;
  EXPECT_EQ(OptionLimits(Row(&text)), "");
  EXPECT_EQ(OptionLimits(Row(&text, kNotEmpty, kRequired)), "required");
  bool flip = false;
  EXPECT_EQ(OptionPlaceholder(Row(&flip)), "");
  EXPECT_EQ(OptionLimits(Row(&flip)), "");
  absl::Duration wait;
  EXPECT_EQ(OptionLimits(Row(&wait, Between(absl::ZeroDuration(),
                                            absl::InfiniteDuration()))),
            "in [0s, inf]; default 0s");
  const Option choice = Row(OneOf(&text, {"cpu", "cuda"}));
  EXPECT_EQ(OptionPlaceholder(choice), "cpu|cuda");
  EXPECT_EQ(OptionLimits(choice), "");
  std::vector<int> sizes = {1, 2};
  EXPECT_EQ(OptionPlaceholder(Row(&sizes)), "N[,N...]");
  EXPECT_EQ(OptionLimits(Row(&sizes, Between(1, 8))),
            "each in [1, 8]; default 1,2");
}

TEST(NearMissTest, NamesTheNearestIfOneIsNear) {
  std::string text;
  std::vector<Option> table = {Row(&text), Row(&text)};
  table[0].name = "model_root";
  table[1].name = "listen";
  EXPECT_EQ(NearMiss(table, "model_rot", "--"), "; did you mean --model_root?");
  EXPECT_EQ(NearMiss(table, "modelroot", ""), "; did you mean model_root?");
  EXPECT_EQ(NearMiss(table, "frobnicate", "--"), "; --help lists the flags");
  EXPECT_EQ(NearMiss(table, std::string(5000, 'x'), "--"),
            "; --help lists the flags");
  EXPECT_EQ(FindOption(table, "listen"), &table[1]);
  EXPECT_EQ(FindOption(table, "liste"), nullptr);
}

TEST(ShownTextTest, QuotesWhatIsNotPlain) {
  EXPECT_EQ(ShownText("1e-4,x"), "1e-4,x");
  EXPECT_EQ(ShownText(""), "\"\"");
  EXPECT_EQ(ShownText("a\nb"), "\"a\\nb\"");
  EXPECT_LT(ShownText(std::string(5000, 'x')).size(), 100u);
}

}  // namespace
}  // namespace ddgan

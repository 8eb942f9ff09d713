#include "engine/base/strict_json.h"

#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

std::string Refusal(std::string_view text, const JsonLimits& limits = {}) {
  const auto value = ParseStrictJson(text, limits);
  return value.ok() ? "accepted" : std::string(value.status().message());
}

TEST(StrictJsonTest, ReadsWhatJsonIs) {
  const auto value = ParseStrictJson(
      R"({"a": [1, -2, 2.5, "x", true, null], "b": {"c": {}}})");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ((*value)["a"].size(), 6u);
  EXPECT_EQ((*value)["a"][1], -2);
  EXPECT_EQ((*value)["a"][2], 2.5);
  EXPECT_EQ((*value)["a"][3], "x");
  EXPECT_TRUE((*value)["a"][5].is_null());
  EXPECT_TRUE((*value)["b"]["c"].is_object());
}

TEST(StrictJsonTest, SameKeyTwiceIsRefusedAtAnyDepth) {
  EXPECT_EQ(Refusal(R"({"a": 1, "a": 1})"), "key \"a\" appears twice");
  EXPECT_EQ(Refusal(R"({"x": {"a": 1, "b": 2, "a": 3}})"),
            "key \"a\" appears twice");
  // In different objects it is no repetition.
  EXPECT_EQ(Refusal(R"({"a": {"a": 1}})"), "accepted");
}

TEST(StrictJsonTest, DepthAndNumberOfValuesAreBounded) {
  EXPECT_EQ(Refusal("[[1]]", {.max_depth = 1}), "nested deeper than 1");
  EXPECT_EQ(Refusal(std::string(1000000, '[')), "nested deeper than 4");
  EXPECT_EQ(Refusal("[1, 2, 3]", {.max_values = 3}), "more than 3 values");
  EXPECT_EQ(Refusal("[1, 2]", {.max_values = 3}), "accepted");
}

TEST(StrictJsonTest, WhatIsNotOneJsonValueIsRefused) {
  EXPECT_THAT(Refusal(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("{} {}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("{'a': 1}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("[1,]"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("// a\n{}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("1e999"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("NaN"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("\"\xff\""), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal(std::string_view("{}\0x", 4)), HasSubstr("NUL"));
}

TEST(StrictJsonTest, ARefusalIsAShortLineOfAsciiWhateverTheText) {
  const std::string long_text(1 << 20, 'x');
  for (const std::string& text :
       {std::string("\"\xff\""), "\"" + long_text, std::string(1 << 20, '7'),
        "{\"" + long_text + "\": 1, \"" + long_text + "\": 2}",
        std::string("{\"\xc3\xa4\": 1, \"\xc3\xa4\": 2}")}) {
    const std::string refusal = Refusal(text);
    EXPECT_NE(refusal, "accepted");
    EXPECT_LT(refusal.size(), 200u);
    EXPECT_TRUE(std::all_of(refusal.begin(), refusal.end(), [](char c) {
      return c >= ' ' && c <= '~';
    })) << refusal;
  }
}

}  // namespace
}  // namespace ddgan

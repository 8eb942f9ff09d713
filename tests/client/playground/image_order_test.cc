#include "client/playground/image_order.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan::playground {
namespace {

using ::testing::HasSubstr;

void ExpectRefused(const std::string& json, const std::string& reason) {
  const absl::Status status = ParseImageOrder(json).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << json;
  EXPECT_THAT(std::string(status.message()), HasSubstr(reason)) << json;
}

// With one more field.
std::string With(const std::string& field) {
  return absl::StrCat(R"({"model": "mnist", "seed": "7", "count": 4, )", field,
                      "}");
}

TEST(ImageOrderTest, AsksForPngFilesWithPreviews) {
  const auto order =
      ParseImageOrder(R"({"model": "mnist", "seed": "7", "count": 64})");
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_TRUE(order->previews());
  const v1::GenerateRequest& request = order->request();
  EXPECT_EQ(request.model(), "mnist");
  EXPECT_FALSE(request.has_version());
  EXPECT_EQ(request.seed(), 7u);
  EXPECT_EQ(request.count(), 64u);
  EXPECT_EQ(request.format(), v1::OUTPUT_FORMAT_PNG);
  EXPECT_FALSE(request.has_guide());
}

TEST(ImageOrderTest, KeepsEveryBitOfSeedAndVersion) {
  const auto order = ParseImageOrder(
      R"({"model": "m", "seed": "18446744073709551615", "count": 1,
          "version": "9223372036854775807"})");
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_EQ(order->request().seed(), 18446744073709551615u);
  EXPECT_EQ(order->request().version(), 9223372036854775807);
}

TEST(ImageOrderTest, AGuideIsResizedToTheModel) {
  const auto order = ParseImageOrder(
      With(absl::StrCat(R"("guide": {"png": ")", absl::Base64Escape("\x89PNG"),
                        R"(", "steps": 2})")));
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_EQ(order->request().guide().png(), "\x89PNG");
  EXPECT_EQ(order->request().guide().steps(), 2u);
  EXPECT_EQ(order->request().guide().fit(), v1::GUIDE_FIT_RESIZE);
}

TEST(ImageOrderTest, RefusesByName) {
  ExpectRefused("", "");
  ExpectRefused("[]", "an object");
  ExpectRefused("7", "an object");
  ExpectRefused(With(R"("model": "other")"), "model");  // Twice.
  ExpectRefused(With(R"("modle": "m")"), "there is no field");
  ExpectRefused(R"({"seed": "7", "count": 4})", "model");
  ExpectRefused(R"({"model": "m", "count": 4})", "seed");
  ExpectRefused(R"({"model": "m", "seed": "7"})", "count");
  ExpectRefused(R"({"model": "", "seed": "7", "count": 4})", "model: wanted");
  ExpectRefused(absl::StrCat(R"({"model": ")", std::string(65, 'm'),
                             R"(", "seed": "7", "count": 4})"),
                "1 to 64 bytes");
  for (const char* seed : {"7", R"("")", R"("-1")", R"(" 7")", R"("7 ")",
                           R"("0x7")", R"("18446744073709551616")", "null"}) {
    ExpectRefused(
        absl::StrCat(R"({"model": "m", "count": 1, "seed": )", seed, "}"),
        "seed: wanted a string of digits, 0 to 18446744073709551615");
  }
  for (const char* count : {"0", "65", "-1", "1.5", R"("4")", "1e1"}) {
    ExpectRefused(
        absl::StrCat(R"({"model": "m", "seed": "1", "count": )", count, "}"),
        "count: wanted a whole number from 1 to 64");
  }
  for (const char* version : {R"("0")", R"("9223372036854775808")", "3"}) {
    ExpectRefused(With(absl::StrCat(R"("version": )", version)),
                  "version: wanted a string of digits, 1 to");
  }
}

TEST(ImageOrderTest, RefusesAGuideByName) {
  ExpectRefused(With(R"("guide": "AAAA")"), "guide: wanted");
  ExpectRefused(With(R"("guide": {"png": "AAAA"})"), "guide: wanted");
  ExpectRefused(With(R"("guide": {"png": "AAAA", "steps": 1, "fit": 1})"),
                "guide: wanted");
  for (const char* png : {R"("")", R"("*")", "7"}) {
    ExpectRefused(
        With(absl::StrCat(R"("guide": {"steps": 1, "png": )", png, "}")),
        "guide.png: wanted base64");
  }
  ExpectRefused(With(R"("guide": {"png": "AAAA", "steps": 0})"),
                "guide.steps: wanted a whole number from 1");
  const std::string large(size_t{1} << 20, 'x');
  const auto with_guide = [](const std::string& png) {
    return With(absl::StrCat(R"("guide": {"steps": 1, "png": ")",
                             absl::Base64Escape(png), R"("})"));
  };
  EXPECT_TRUE(ParseImageOrder(with_guide(large)).ok());
  ExpectRefused(with_guide(large + "x"), "1048576 bytes");
}

}  // namespace
}  // namespace ddgan::playground

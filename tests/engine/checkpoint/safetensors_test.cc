#include "engine/checkpoint/safetensors.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

// A file of this header, as it stands, before this many bytes of data.
std::string FileOf(const std::string& header, size_t data_bytes,
                   uint64_t claimed_length) {
  std::string file;
  for (int i = 0; i < 8; ++i)
    file.push_back(static_cast<char>(claimed_length >> (8 * i)));
  return file + header + std::string(data_bytes, '\x01');
}
std::string FileOf(const std::string& header, size_t data_bytes) {
  return FileOf(header, data_bytes, header.size());
}

std::string Refusal(const std::string& file) {
  const auto view = ParseSafetensors(file);
  if (view.ok()) return "accepted";
  EXPECT_EQ(view.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(view.status().message());
}

TEST(SafetensorsTest, WhatIsWrittenIsReadBack) {
  const std::vector<TensorView> tensors = {
      {"b", DType::kFloat32, {2, 1}, "12345678"},
      {"a", DType::kFloat16, {3}, "abcdef"},
      {"scalar", DType::kUint8, {}, "x"},
      {"nothing", DType::kInt64, {0, 4}, ""},
  };
  const auto file = SerializeSafetensors(tensors, {{"config", "{\"a\": 1}"}});
  ASSERT_TRUE(file.ok()) << file.status();
  const auto view = ParseSafetensors(*file);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->metadata.at("config"), "{\"a\": 1}");
  ASSERT_EQ(view->tensors.size(), 4u);
  for (const TensorView& tensor : tensors) {
    const TensorView* found = view->Find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->dtype, tensor.dtype);
    EXPECT_EQ(found->shape, tensor.shape);
    EXPECT_EQ(found->data, tensor.data);
  }
  EXPECT_EQ(view->tensors[0].name, "b");  // In order of their data.
  EXPECT_EQ(view->Find("c"), nullptr);
}

TEST(SafetensorsTest, DataOfAWrittenFileIsAligned) {
  for (const char* name : {"a", "ab", "abcdefg"}) {
    const auto file =
        SerializeSafetensors({{name, DType::kFloat64, {1}, "12345678"}});
    ASSERT_TRUE(file.ok());
    EXPECT_EQ((file->size() - 8) % 8, 0u) << name;
  }
}

TEST(SafetensorsTest, WritingRefusesWhatCouldNotBeRead) {
  const auto refused = [](const std::vector<TensorView>& tensors) {
    return SerializeSafetensors(tensors).status().code() ==
           absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused({{"a", DType::kFloat32, {2}, "1234"}}));
  EXPECT_TRUE(refused({{"a", DType::kFloat32, {-1}, "1234"}}));
  EXPECT_TRUE(refused({{"a", DType::kFloat32, {1}, "1234"},
                       {"a", DType::kFloat32, {1}, "1234"}}));
  EXPECT_TRUE(refused({{"__metadata__", DType::kFloat32, {1}, "1234"}}));
  EXPECT_TRUE(refused({{"\xff", DType::kFloat32, {1}, "1234"}}));
  EXPECT_TRUE(refused({{"a", DType::kFloat32, {int64_t{1} << 62, 8}, ""}}));
}

TEST(SafetensorsTest, ReadsEveryFixture) {
  for (const char* name : {"gen_small", "train_tiny", "ops", "schedules",
                           "diffusion", "disc_small", "disc_large"}) {
    const std::string file = ReadBytes(std::string(DDGAN_TESTS_DIR) +
                                       "/golden/" + name + ".safetensors");
    const auto view = ParseSafetensors(file);
    ASSERT_TRUE(view.ok()) << name << ": " << view.status();
    EXPECT_FALSE(view->tensors.empty());
  }
}

TEST(SafetensorsTest, HeaderLengthPastTheEndOrAbsurdIsRefused) {
  EXPECT_THAT(Refusal(""), HasSubstr("0 bytes"));
  EXPECT_THAT(Refusal("1234567"), HasSubstr("7 bytes"));
  EXPECT_THAT(Refusal(FileOf("{}", 0, 3)), HasSubstr("ends at 11 of 10"));
  EXPECT_THAT(Refusal(FileOf("{}", 0, uint64_t{100} << 30)),
              HasSubstr("at most 100000000"));
  EXPECT_THAT(Refusal(FileOf("{}", 0, ~uint64_t{0})),
              HasSubstr("at most 100000000"));
}

TEST(SafetensorsTest, HeaderThatIsNoObjectIsRefused) {
  EXPECT_THAT(Refusal(FileOf("[]", 0)), HasSubstr("not an object"));
  EXPECT_THAT(Refusal(FileOf("", 0)), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal(FileOf("{\"a\":", 0)), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal(FileOf("{\"a\": 3}", 0)), HasSubstr("\"a\""));
  EXPECT_EQ(Refusal(FileOf("{}", 0)), "accepted");
}

TEST(SafetensorsTest, DuplicateNameIsRefused) {
  const std::string entry =
      R"("a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]})";
  EXPECT_THAT(Refusal(FileOf("{" + entry + ", " + entry + "}", 1)),
              HasSubstr("\"a\" appears twice"));
}

struct BadEntry {
  const char* entry;
  const char* message;
};
class SafetensorsEntryTest : public ::testing::TestWithParam<BadEntry> {};

TEST_P(SafetensorsEntryTest, IsRefusedByTheTensorsName) {
  const std::string refusal =
      Refusal(FileOf(std::string("{\"w.bad\": ") + GetParam().entry + "}", 8));
  EXPECT_THAT(refusal, HasSubstr("\"w.bad\""));
  EXPECT_THAT(refusal, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, SafetensorsEntryTest,
    ::testing::Values(
        BadEntry{R"({"dtype":"I32","shape":[2],"data_offsets":[0,8]})",
                 "unknown dtype \"I32\""},
        BadEntry{R"({"dtype":3,"shape":[4],"data_offsets":[0,8]})", "dtype"},
        BadEntry{R"({"shape":[4],"data_offsets":[0,8]})", "has no dtype"},
        BadEntry{R"({"dtype":"F32","data_offsets":[0,8]})", "has no shape"},
        BadEntry{R"({"dtype":"F32","shape":[2]})", "has no data_offsets"},
        BadEntry{R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})",
                 "unknown key \"x\""},
        BadEntry{R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})", "shape"},
        BadEntry{R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})",
                 "shape"},
        BadEntry{R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})",
                 "shape"},
        BadEntry{
            R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]})",
            "shape"},
        BadEntry{
            R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]})",
            "too large"},
        // 2^32 * 2^32 is 0 in 64 bits.
        BadEntry{
            R"({"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]})",
            "too large"},
        BadEntry{R"({"dtype":"F32","shape":[2],"data_offsets":[0]})",
                 "not a pair"},
        BadEntry{R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})",
                 "not a range"},
        BadEntry{R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})",
                 "not a range"},
        BadEntry{
            R"({"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551616]})",
            "not a range"},
        BadEntry{R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})",
                 "data ends at 16 of 8"},
        BadEntry{R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})",
                 "has 8 bytes of data"},
        BadEntry{R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})",
                 "after a hole"}));

TEST(SafetensorsTest, OverlapHoleAndSurplusAreRefused) {
  const auto two = [](const char* second, size_t data) {
    return FileOf(
        std::string(
            R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":)") +
            second + "}",
        data);
  };
  EXPECT_THAT(
      Refusal(two(R"({"dtype":"U8","shape":[4],"data_offsets":[2,6]})", 6)),
      HasSubstr("tensor \"b\": data begins at 2, inside"));
  EXPECT_THAT(
      Refusal(two(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})", 4)),
      HasSubstr("inside"));
  EXPECT_THAT(
      Refusal(two(R"({"dtype":"U8","shape":[4],"data_offsets":[5,9]})", 9)),
      HasSubstr("after a hole"));
  EXPECT_THAT(
      Refusal(two(R"({"dtype":"U8","shape":[4],"data_offsets":[4,8]})", 9)),
      HasSubstr("1 bytes behind the last tensor"));
  EXPECT_EQ(
      Refusal(two(R"({"dtype":"U8","shape":[4],"data_offsets":[4,8]})", 8)),
      "accepted");
}

TEST(SafetensorsTest, MetadataIsAMapOfStrings) {
  EXPECT_THAT(Refusal(FileOf(R"({"__metadata__": {"a": 1}})", 0)),
              HasSubstr("\"a\" is not a string"));
  EXPECT_THAT(Refusal(FileOf(R"({"__metadata__": []})", 0)),
              HasSubstr("__metadata__"));
}

TEST(SafetensorsTest, TruncatedAnywhereIsRefused) {
  const auto file =
      SerializeSafetensors({{"a", DType::kFloat32, {2}, "12345678"},
                            {"b", DType::kFloat16, {3}, "abcdef"}});
  ASSERT_TRUE(file.ok());
  for (size_t size = 0; size < file->size(); ++size)
    EXPECT_NE(Refusal(file->substr(0, size)), "accepted") << size;
}

}  // namespace
}  // namespace ddgan

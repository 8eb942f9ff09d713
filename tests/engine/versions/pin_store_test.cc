#include "engine/versions/pin_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class PinStoreTest : public ::testing::Test {
 protected:
  void WriteFile(const std::string& text) {
    std::ofstream(folder_.path() / kPinsFileName) << text;
  }
  absl::Status ReadError() { return ReadPins(folder_.path()).status(); }

  TemporaryFolder folder_;
};

TEST_F(PinStoreTest, WhatWasWrittenIsRead) {
  EXPECT_EQ(ReadPins(folder_.path()).value(), Pins());
  const Pins pins = {{"cifar10", 7}, {"digits", int64_t{1} << 62}};
  ASSERT_EQ(WritePins(folder_.path(), pins), absl::OkStatus());
  EXPECT_EQ(ReadPins(folder_.path()).value(), pins);
  ASSERT_EQ(WritePins(folder_.path(), {}), absl::OkStatus());
  EXPECT_EQ(ReadPins(folder_.path()).value(), Pins());
}

// Servers that share a volume.
TEST_F(PinStoreTest, WritersAtTheSameTimeTakeTurns) {
  Pins many;
  for (int i = 0; i < 100; ++i) many[absl::StrCat("model", i)] = i + 1;
  const std::vector<Pins> contents = {{}, {{"digits", 3}}, many};
  std::vector<std::thread> writers;
  for (const Pins& pins : contents) {
    writers.emplace_back([this, &pins] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(WritePins(folder_.path(), pins), absl::OkStatus());
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(contents, Contains(ReadPins(folder_.path()).value()));
  }
  for (std::thread& writer : writers) writer.join();
}

TEST_F(PinStoreTest, AFolderThatIsNotThereIsNamed) {
  const std::filesystem::path absent = folder_.path() / "absent";
  const absl::Status read = ReadPins(absent).status();
  EXPECT_EQ(read.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(read.message()), HasSubstr(absent.string()));
  EXPECT_EQ(WritePins(absent, {}).code(), absl::StatusCode::kUnavailable);
}

TEST_F(PinStoreTest, AFileOfAnyOtherKindIsRefused) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"format_version": 1})",
        R"({"format_version": 2, "pins": {}})",
        R"({"format_version": 1, "pins": []})",
        R"({"format_version": 1, "pins": {}, "more": 1})",
        R"({"format_version": 1, "pins": {"digits": 0}})",
        R"({"format_version": 1, "pins": {"digits": -3}})",
        R"({"format_version": 1, "pins": {"digits": 1.5}})",
        R"({"format_version": 1, "pins": {"digits": 18446744073709551615}})",
        R"({"format_version": 1, "pins": {"digits": "3"}})",
        R"({"format_version": 1, "pins": {"../digits": 3}})",
        R"({"format_version": 1, "pins": {"digits": 3, "digits": 4}})"}) {
    SCOPED_TRACE(text);
    WriteFile(text);
    EXPECT_EQ(ReadError().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(ReadError().message()), HasSubstr(kPinsFileName));
  }
}

}  // namespace
}  // namespace ddgan

#include "client/load_generator/call_record.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

CallRecord OkCall() {
  CallRecord record;
  record.call.plan.seed = 18446744073709551615u;
  record.call.plan.count = 4;
  record.call.due = absl::Milliseconds(1500);
  record.call.sent = absl::Milliseconds(1510);
  record.call.ended = absl::Milliseconds(1750);
  record.call.version = 9;
  record.run_start = absl::FromUnixSeconds(1'700'000'000);
  record.first_index = 3;
  record.model = "mnist";
  record.sha256 = "abc";
  return record;
}

TEST(CallRecordLineTest, SaysWhenWhatAndWhichBytes) {
  EXPECT_EQ(CallRecordLine(OkCall()),
            R"({"due":1.5,"ended":1.75,"due_unix":1700000001.5,)"
            R"("ended_unix":1700000001.75,"latency":0.25,"fate":"ok",)"
            R"("code":"OK","model":"mnist","version":9,)"
            R"("seed":"18446744073709551615","first_index":3,"count":4,)"
            R"("sha256":"abc"})"
            "\n");
}

TEST(CallRecordLineTest, ACallWithoutAReplyHasNoBytes) {
  CallRecord record = OkCall();
  record.call.fate = CallFate::kRefused;
  record.call.code = absl::StatusCode::kResourceExhausted;
  nlohmann::json json = nlohmann::json::parse(CallRecordLine(record));
  EXPECT_EQ(json["fate"], "refused");
  EXPECT_EQ(json["code"], "RESOURCE_EXHAUSTED");
  for (const char* key : {"model", "version", "sha256"})
    EXPECT_TRUE(json[key].is_null()) << key;
  record.call.fate = CallFate::kUnsent;
  json = nlohmann::json::parse(CallRecordLine(record));
  EXPECT_EQ(json["fate"], "unsent");
  EXPECT_TRUE(json["code"].is_null());
}

TEST(HashImagesTest, IsTheHashOfAllBytesInOrder) {
  v1::GenerateResponse reply;
  reply.add_images()->set_data("a");
  reply.add_images()->set_data("bc");
  // FIPS 180-4's example for "abc".
  EXPECT_EQ(HashImages(reply),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(CallRecorderTest, AfterCloseEveryRecordIsInTheFile) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "calls.jsonl").string();
  const auto recorder = CallRecorder::Open(path);
  ASSERT_TRUE(recorder.ok()) << recorder.status();
  std::string wanted;
  for (int i = 0; i < 1000; ++i) {
    CallRecord record = OkCall();
    record.first_index = static_cast<uint32_t>(i);
    wanted += CallRecordLine(record);
    (*recorder)->Add(record);
  }
  EXPECT_TRUE((*recorder)->Close().ok());
  EXPECT_EQ(ReadBytes(path), wanted);
}

TEST(CallRecorderTest, AFileThatCannotBeWrittenIsAnError) {
  EXPECT_THAT(std::string(CallRecorder::Open("/dev/null/x").status().message()),
              HasSubstr("cannot write /dev/null/x"));
  const auto full = CallRecorder::Open("/dev/full");
  ASSERT_TRUE(full.ok()) << full.status();
  (*full)->Add(OkCall());
  EXPECT_THAT(std::string((*full)->Close().message()),
              HasSubstr("cannot write /dev/full"));
}

}  // namespace
}  // namespace ddgan

#include "server/telemetry/metrics.h"

#include <array>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/promtool.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ModelIdentity Digits(int64_t version) {
  return {"digits", version, absl::StrCat("digest", version)};
}

class MetricsTest : public ::testing::Test {
 protected:
  ManualClock clock_;
  Metrics metrics_{&clock_};
};

TEST_F(MetricsTest, PassesPrometheusLinterOnceEveryMetricHasAValue) {
  metrics_.OnStep(Digits(1), "cpu", {3, 3}, absl::Milliseconds(7));
  metrics_.OnQueueWait(Digits(1), absl::Milliseconds(1));
  metrics_.OnImages(Digits(1), 2);
  metrics_.OnRefused(RefusalReason::kDeadline);
  metrics_.OnWastedSteps(WasteReason::kDeadline, 3);
  metrics_.OnQueueState(1, 2, {.interactive = clock_.Now()});
  metrics_.OnReload(Digits(1), ReloadResult::kLive, absl::OkStatus(),
                    absl::Seconds(1));
  metrics_.OnReloadPhase(ReloadPhase::kRead, absl::Seconds(1));
  metrics_.OnLiveVersion(Digits(1), clock_.Now());
  metrics_.OnPin("digits", 1);
  metrics_.OnRefusedVersions("digits", {0, 1});
  metrics_.OnDeviceHealth("cpu", absl::OkStatus());
  metrics_.OnBatchLimit("cpu", 16);
  metrics_.OnDeviceMemory("cpu", 1 << 20);
  metrics_.OnCallFinished(RpcMethod::kGenerate, "digits", absl::StatusCode::kOk,
                          absl::Milliseconds(20));
  metrics_.OnFirstPreview(absl::Milliseconds(10));
  metrics_.OnPreviewsDropped(2);
  metrics_.OnEncoded(absl::Microseconds(300));
  metrics_.OnImageAsked(ImageSource::kJoined);
  metrics_.OnImageKept(1 << 20, 2);
  metrics_.OnEncoderFull();
  metrics_.OnReplyBytesFull(ByteLedger::Refusal::kTotal);
  metrics_.OnReplyBytes(1 << 20);
  metrics_.OnWriteTimeout(WriteTimeout::kCall);
  metrics_.OnConnections(3);
  metrics_.OnConnectionRefused(ConnectionRefusal::kPeer);
  metrics_.OnQuotaRefusal(QuotaRefusal::kRate);
  metrics_.OnAccessDenied(AccessDenial::kScope);
  for (const auto files : {SecurityFiles::kTls, SecurityFiles::kTokens}) {
    metrics_.ExpectReloads(files);
    metrics_.OnSecurityReload(files, true);
  }
  metrics_.OnCertificate(absl::FromUnixSeconds(4'000'000'000));
  const std::string text = metrics_.Text();
  EXPECT_EQ(PromtoolComplaints(text), "");
  for (const char* name : {"ddgan_requests_total",
                           "ddgan_request_duration_seconds_bucket",
                           "ddgan_queue_duration_seconds_bucket",
                           "ddgan_step_duration_seconds_bucket",
                           "ddgan_step_batch_size_bucket",
                           "ddgan_images_total",
                           "ddgan_time_to_first_preview_seconds_bucket",
                           "ddgan_previews_dropped_total",
                           "ddgan_encode_duration_seconds_bucket",
                           "ddgan_image_cache_bytes 1048576",
                           "ddgan_image_cache_evictions_total 2",
                           "ddgan_image_cache_images_total{result=\"hit\"} 0",
                           "ddgan_image_cache_images_total{result="
                           "\"coalesced\"} 1",
                           "ddgan_image_cache_images_total{result="
                           "\"miss\"} 0",
                           "ddgan_queue_depth",
                           "ddgan_queue_oldest_age_seconds",
                           "ddgan_inflight_images",
                           "ddgan_wasted_steps_total",
                           "ddgan_rejected_total",
                           "ddgan_reply_bytes",
                           "ddgan_write_timeouts_total",
                           "ddgan_connections",
                           "ddgan_connections_refused_total",
                           "ddgan_reloads_total",
                           "ddgan_reload_duration_seconds_bucket",
                           "ddgan_model_info",
                           "ddgan_model_loaded_timestamp_seconds",
                           "ddgan_model_pinned_version",
                           "ddgan_versions_refused",
                           "ddgan_device_memory_bytes",
                           "ddgan_device_healthy",
                           "ddgan_device_batch_limit_images",
                           "ddgan_security_files_refused",
                           "ddgan_build_info"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat("\n", name)));
  }
}

TEST_F(MetricsTest, PassesPrometheusLinterBeforeAnythingHappened) {
  EXPECT_EQ(PromtoolComplaints(metrics_.Text()), "");
}

TEST_F(MetricsTest, CountersStartAtZeroSoThatTheirFirstRiseIsSeen) {
  const std::string text = metrics_.Text();
  for (const char* reason :
       {"queue_full", "deadline", "deadline_unmeetable", "draining",
        "no_device", "encoder_full", "guides_full", "reply_bytes",
        "reply_bytes_caller"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat("ddgan_rejected_total{reason=\"",
                                             reason, "\"} 0")));
  }
  for (const char* reason :
       {"cancelled", "deadline", "shutdown", "step_failed", "replayed"}) {
    EXPECT_THAT(text,
                HasSubstr(absl::StrCat("ddgan_wasted_steps_total{reason=\"",
                                       reason, "\"} 0")));
  }
  for (const char* what : {"call", "connection"}) {
    EXPECT_THAT(
        text, HasSubstr(absl::StrCat("ddgan_write_timeouts_total{what=\"", what,
                                     "\"} 0")));
  }
  for (const char* reason : {"total", "peer", "descriptors"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat(
                          "ddgan_connections_refused_total{reason=\"", reason,
                          "\"} 0")));
  }
  EXPECT_THAT(text, HasSubstr("ddgan_previews_dropped_total 0"));
}

TEST_F(MetricsTest, CountsByReason) {
  metrics_.OnRefused(RefusalReason::kUnmeetableDeadline);
  metrics_.OnRefused(RefusalReason::kNoDevice);
  metrics_.OnWastedSteps(WasteReason::kReplayed, 6);
  EXPECT_THAT(
      metrics_.Text(),
      AllOf(HasSubstr("ddgan_rejected_total{reason=\"deadline_unmeetable\"} 1"),
            HasSubstr("ddgan_rejected_total{reason=\"no_device\"} 1"),
            HasSubstr("ddgan_wasted_steps_total{reason=\"replayed\"} 6")));
}

TEST_F(MetricsTest, FollowsADeviceThatIsLostAndComesBack) {
  metrics_.OnDeviceHealth("cuda:0", absl::OkStatus());
  metrics_.OnDeviceHealth("cuda:1", absl::UnavailableError("fell off the bus"));
  EXPECT_THAT(metrics_.Text(),
              AllOf(HasSubstr("ddgan_device_healthy{device=\"cuda:0\"} 1"),
                    HasSubstr("ddgan_device_healthy{device=\"cuda:1\"} 0")));
  metrics_.OnDeviceHealth("cuda:1", absl::OkStatus());
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("ddgan_device_healthy{device=\"cuda:1\"} 1"));
}

TEST_F(MetricsTest, ShowsTheBatchThatADeviceHasMemoryFor) {
  metrics_.OnBatchLimit("cuda:0", 32);
  metrics_.OnBatchLimit("cuda:0", 16);
  EXPECT_THAT(
      metrics_.Text(),
      HasSubstr("ddgan_device_batch_limit_images{device=\"cuda:0\"} 16"));
}

TEST_F(MetricsTest, LabelsAStepByItsTAndItsBatchBucket) {
  metrics_.OnStep(Digits(1), "cpu", {2, 2, 2}, absl::Milliseconds(7));
  EXPECT_THAT(metrics_.Text(),
              AllOf(HasSubstr("batch_bucket=\"4\""), HasSubstr("step=\"2\""),
                    HasSubstr("device=\"cpu\""), HasSubstr("version=\"1\"")));
}

TEST_F(MetricsTest, LabelsAStepOfSeveralTsAsMixed) {
  metrics_.OnStep(Digits(1), "cpu", {2, 1}, absl::Milliseconds(7));
  EXPECT_THAT(metrics_.Text(), AllOf(HasSubstr("step=\"mixed\""),
                                     HasSubstr("batch_bucket=\"2\"")));
}

TEST_F(MetricsTest, StepsOfAModelWithManyShareLabels) {
  for (int step = 0; step < 1999; ++step)
    metrics_.OnStep(Digits(1), "cpu", {step}, absl::Milliseconds(7));
  const std::string text = metrics_.Text();
  for (const char* label : {"0", "15", "16-31", "32-63", "1024-2047"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat("step=\"", label, "\"")));
  }
  EXPECT_THAT(text, Not(HasSubstr("step=\"16\"")));
  const std::string counts = "ddgan_step_duration_seconds_count{";
  size_t series = 0;
  for (size_t at = text.find(counts); at != std::string::npos;
       at = text.find(counts, at + 1)) {
    ++series;
  }
  EXPECT_EQ(series, 16u + 7u);
}

TEST_F(MetricsTest, RowsOfOneLabelAreNotMixed) {
  metrics_.OnStep(Digits(1), "cpu", {40, 63}, absl::Milliseconds(7));
  EXPECT_THAT(metrics_.Text(), AllOf(HasSubstr("step=\"32-63\""),
                                     Not(HasSubstr("step=\"mixed\""))));
  metrics_.OnStep(Digits(1), "cpu", {63, 64}, absl::Milliseconds(7));
  EXPECT_THAT(metrics_.Text(), HasSubstr("step=\"mixed\""));
}

TEST_F(MetricsTest, CountsRequestsByMethodModelAndCode) {
  metrics_.OnCallFinished(RpcMethod::kGenerate, "digits", absl::StatusCode::kOk,
                          absl::Milliseconds(1));
  metrics_.OnCallFinished(RpcMethod::kGenerateStream, "",
                          absl::StatusCode::kInvalidArgument,
                          absl::Milliseconds(1));
  EXPECT_THAT(
      metrics_.Text(),
      AllOf(HasSubstr("ddgan_requests_total{code=\"OK\",method=\"Generate\","
                      "model=\"digits\"} 1"),
            HasSubstr("ddgan_requests_total{code=\"INVALID_ARGUMENT\","
                      "method=\"GenerateStream\",model=\"\"} 1"),
            HasSubstr("ddgan_request_duration_seconds_count{code=\"OK\","
                      "method=\"Generate\"} 1")));
}

TEST_F(MetricsTest, FailuresAreCountedFromZeroBeforeThereIsACall) {
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("model=\"digits\"")));
  metrics_.OnLiveVersion({"digits", 1, std::string(64, 'a')}, clock_.Now());
  for (const char* model : {"", "digits"}) {
    for (const char* method : {"Generate", "GenerateStream", "ModelInfer"}) {
      for (const char* code :
           {"UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}) {
        EXPECT_THAT(metrics_.Text(),
                    HasSubstr(absl::StrCat("ddgan_requests_total{code=\"", code,
                                           "\",method=\"", method,
                                           "\",model=\"", model, "\"} 0")));
      }
    }
  }
  metrics_.OnCallFinished(RpcMethod::kGenerate, "digits",
                          absl::StatusCode::kUnavailable,
                          absl::Milliseconds(1));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("ddgan_requests_total{code=\"UNAVAILABLE\","
                        "method=\"Generate\",model=\"digits\"} 1"));
}

TEST_F(MetricsTest, CountsDroppedPreviewsAndTimesTheFirstOne) {
  metrics_.OnPreviewsDropped(3);
  metrics_.OnPreviewsDropped(0);
  metrics_.OnFirstPreview(absl::Milliseconds(15));
  EXPECT_THAT(
      metrics_.Text(),
      AllOf(HasSubstr("ddgan_previews_dropped_total 3"),
            HasSubstr("ddgan_time_to_first_preview_seconds_bucket{le=\"0.01\"}"
                      " 0"),
            HasSubstr("ddgan_time_to_first_preview_seconds_bucket{le=\"0.02\"}"
                      " 1")));
}

TEST_F(MetricsTest, ComputesTheOldestAgeWhenScraped) {
  const absl::Time accepted = clock_.Now();
  clock_.Advance(absl::Seconds(1));
  metrics_.OnQueueState(
      2, 0, {.interactive = accepted, .batch = accepted + absl::Seconds(1)});
  clock_.Advance(absl::Milliseconds(2500));
  const std::string age = "\nddgan_queue_oldest_age_seconds";
  EXPECT_THAT(metrics_.Text(),
              AllOf(HasSubstr(age + "{class=\"interactive\"} 3.5"),
                    HasSubstr(age + "{class=\"batch\"} 2.5")));
  metrics_.OnQueueState(0, 1, {});
  EXPECT_THAT(metrics_.Text(),
              AllOf(HasSubstr(age + "{class=\"interactive\"} 0"),
                    HasSubstr(age + "{class=\"batch\"} 0")));
}

TEST_F(MetricsTest, CountsReloadsByResult) {
  for (ReloadResult result : {ReloadResult::kLive, ReloadResult::kDamaged,
                              ReloadResult::kCanary, ReloadResult::kCanary}) {
    metrics_.OnReload(Digits(1), result, absl::UnknownError("why"),
                      absl::Seconds(1));
  }
  const std::string text = metrics_.Text();
  for (const auto& [result, count] :
       std::map<std::string, int>{{"live", 1},
                                  {"damaged", 1},
                                  {"invalid", 0},
                                  {"canary", 2},
                                  {"step", 0},
                                  {"no_memory", 0},
                                  {"error", 0}}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat(
                          "ddgan_reloads_total{model=\"digits\",result=\"",
                          result, "\"} ", count, "\n")));
  }
}

TEST_F(MetricsTest, TimesPhasesAndTheWholeOfWhatWasSound) {
  metrics_.OnReloadPhase(ReloadPhase::kRead, absl::Milliseconds(150));
  metrics_.OnReloadPhase(ReloadPhase::kWarmUp, absl::Seconds(3));
  metrics_.OnReload(Digits(1), ReloadResult::kCanary,
                    absl::FailedPreconditionError("black"), absl::Seconds(4));
  metrics_.OnReload(Digits(2), ReloadResult::kLive, absl::OkStatus(),
                    absl::Seconds(9));
  const std::string text = metrics_.Text();
  const std::string name = "ddgan_reload_duration_seconds";
  EXPECT_THAT(text, AllOf(HasSubstr(name + "_sum{phase=\"read\"} 0.15"),
                          HasSubstr(name + "_sum{phase=\"warm_up\"} 3\n"),
                          HasSubstr(name + "_count{phase=\"canary\"} 0\n"),
                          HasSubstr(name + "_sum{phase=\"total\"} 9\n"),
                          HasSubstr(name + "_count{phase=\"total\"} 1\n")));
}

TEST_F(MetricsTest, NamesTheLiveVersionAndNoOther) {
  metrics_.OnReload(Digits(3), ReloadResult::kLive, absl::OkStatus(),
                    absl::Seconds(1));
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("ddgan_model_info{")));
  metrics_.OnLiveVersion(Digits(1), absl::FromUnixMillis(1'500));
  metrics_.OnLiveVersion(Digits(2), absl::FromUnixMillis(2'500));
  metrics_.OnUnloaded(Digits(1));
  const std::string text = metrics_.Text();
  EXPECT_THAT(text, HasSubstr("ddgan_model_info{digest=\"digest2\",model="
                              "\"digits\",version=\"2\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("digest=\"digest1\"")));
  EXPECT_THAT(text, HasSubstr("ddgan_model_loaded_timestamp_seconds{model="
                              "\"digits\"} 2.5\n"));
}

TEST_F(MetricsTest, FollowsARollbackToAVersionThatWasLiveBefore) {
  for (int64_t version : {1, 2, 1}) {
    metrics_.OnLiveVersion(Digits(version), absl::UnixEpoch());
  }
  EXPECT_THAT(metrics_.Text(), AllOf(HasSubstr("digest=\"digest1\""),
                                     Not(HasSubstr("digest=\"digest2\""))));
}

TEST_F(MetricsTest, ForgetsTheLiveVersionOfAModelThatIsGone) {
  metrics_.OnLiveVersion(Digits(1), absl::UnixEpoch());
  metrics_.OnUnloaded(Digits(1));
  EXPECT_THAT(metrics_.Text(),
              AllOf(Not(HasSubstr("ddgan_model_info{")),
                    Not(HasSubstr("ddgan_model_loaded_timestamp_seconds{"))));
}

TEST_F(MetricsTest, ShowsAPinWhileThereIsOne) {
  metrics_.OnPin("digits", std::nullopt);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("ddgan_model_pinned_version{")));
  metrics_.OnPin("digits", 3);
  metrics_.OnPin("digits", 2);
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("ddgan_model_pinned_version{model=\"digits\"} 2\n"));
  metrics_.OnPin("digits", std::nullopt);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("ddgan_model_pinned_version{")));
}

TEST_F(MetricsTest, CountsRefusedVersionsDownToZero) {
  const std::string damaged =
      "ddgan_versions_refused{model=\"digits\",reason=\"damaged\"} ";
  std::array<int, kNumReloadResults> count = {};
  metrics_.OnRefusedVersions("digits", count);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr(damaged)));
  count[static_cast<size_t>(ReloadResult::kDamaged)] = 2;
  metrics_.OnRefusedVersions("digits", count);
  EXPECT_THAT(metrics_.Text(), HasSubstr(damaged + "2\n"));
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("reason=\"canary\"")));
  metrics_.OnRefusedVersions("digits", {});
  EXPECT_THAT(metrics_.Text(), HasSubstr(damaged + "0\n"));
}

TEST_F(MetricsTest, KeepsBatchSizesOfAllVersionsOfAModel) {
  for (int64_t version = 1; version <= 6; ++version) {
    metrics_.OnStep(Digits(version), "cpu", {1, 0, 0}, absl::Milliseconds(1));
  }
  metrics_.OnStep({"cats", 1, ""}, "cpu", {0}, absl::Milliseconds(1));
  metrics_.OnStep(Digits(1), "cuda:0", {0}, absl::Milliseconds(1));
  const std::string name = "ddgan_step_batch_size_sum";
  EXPECT_THAT(
      metrics_.Text(),
      AllOf(HasSubstr(name + "{device=\"cpu\",model=\"digits\"} 18\n"),
            HasSubstr(name + "{device=\"cpu\",model=\"cats\"} 1\n"),
            HasSubstr(name + "{device=\"cuda:0\",model=\"digits\"} 1\n")));
}

TEST_F(MetricsTest, DropsTheSeriesOfTheVersionUsedLeastRecently) {
  for (int64_t version : {1, 2, 3, 4}) {
    metrics_.OnImages(Digits(version), 1);
    metrics_.OnStep(Digits(version), "cpu", {0}, absl::Milliseconds(1));
  }
  metrics_.OnImages(Digits(1), 1);
  metrics_.OnImages(Digits(5), 1);
  const std::string text = metrics_.Text();
  EXPECT_THAT(text, Not(HasSubstr("version=\"2\"")));
  for (int version : {1, 3, 4, 5}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat("version=\"", version, "\"")));
  }
}

}  // namespace
}  // namespace ddgan

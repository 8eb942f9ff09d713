#include "server/telemetry/logging_observer.h"

#include <memory>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "tests/fakes/recording_observer.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

ModelIdentity Digits(int64_t version) {
  return {"digits", version, absl::StrCat("digest", version)};
}

class LoggingObserverTest : public ::testing::Test {
 protected:
  LoggingObserverTest() {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_st>(log_));
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(logger);
  }
  ~LoggingObserverTest() override { spdlog::set_default_logger(before_); }

  // What has been logged since this was last asked.
  std::string Logged() {
    std::string text = log_.str();
    log_.str("");
    return text;
  }

  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream log_;
  LoggingObserver<RecordingObserver> observer_;
};

TEST_F(LoggingObserverTest, TellsTheLifeOfAVersionAndPassesItOn) {
  observer_.OnReloadPhase(ReloadPhase::kRead, absl::Seconds(1));
  observer_.OnReload(Digits(3), ReloadResult::kLive, absl::OkStatus(),
                     absl::Milliseconds(2340));
  observer_.OnLiveVersion(Digits(3), absl::UnixEpoch());
  observer_.OnUnloaded(Digits(2));
  EXPECT_EQ(Logged(),
            "info model digits version 3 loaded in 2.34 s, digest digest3\n"
            "info model digits version 3 is live\n"
            "info model digits version 2 unloaded\n");
  const RecordingObserver::Events events = observer_.events();
  EXPECT_THAT(events.reload_phases, SizeIs(1));
  EXPECT_THAT(events.reloads, SizeIs(1));
  EXPECT_THAT(events.live_versions, ElementsAre(Digits(3)));
  EXPECT_THAT(events.unloaded, ElementsAre(Digits(2)));
}

TEST_F(LoggingObserverTest, SaysWhyAVersionIsRefused) {
  observer_.OnReload(Digits(3), ReloadResult::kDamaged,
                     absl::DataLossError("config.json: size 7, wanted 9"),
                     absl::Seconds(1));
  EXPECT_EQ(Logged(),
            "warning model digits version 3 refused: DATA_LOSS: config.json: "
            "size 7, wanted 9\n");
}

TEST_F(LoggingObserverTest, SaysOnceThatAVersionWaits) {
  const auto wait = [this](const char* reason) {
    observer_.OnReload(Digits(3), ReloadResult::kNoMemory,
                       absl::ResourceExhaustedError(reason), absl::Seconds(1));
    return Logged();
  };
  EXPECT_EQ(wait("needs 3 MiB"),
            "warning model digits version 3 is not loaded yet: "
            "RESOURCE_EXHAUSTED: needs 3 MiB\n");
  EXPECT_EQ(wait("needs 3 MiB"), "");
  EXPECT_EQ(wait("needs 3 MiB; 1 is free"), "");
  EXPECT_NE(wait("no memory for its tensors"), "");
  EXPECT_THAT(observer_.events().reloads, SizeIs(4));
}

TEST_F(LoggingObserverTest, SaysOnceThatEachOfSeveralVersionsIsRefused) {
  const auto refuse = [this](int64_t version, const char* reason) {
    observer_.OnReload(Digits(version), ReloadResult::kStep,
                       absl::InternalError(reason), absl::Seconds(1));
    return Logged();
  };
  EXPECT_NE(refuse(5, "no image"), "");
  EXPECT_NE(refuse(6, "no image"), "");
  EXPECT_EQ(refuse(5, "no image"), "");
  EXPECT_EQ(refuse(6, "no image"), "");
  EXPECT_NE(refuse(6, "no device"), "");
  observer_.OnReload(Digits(6), ReloadResult::kLive, absl::OkStatus(),
                     absl::Seconds(1));
  Logged();
  EXPECT_NE(refuse(6, "no device"), "");
}

TEST_F(LoggingObserverTest, TellsPins) {
  observer_.OnPin("digits", 3);
  observer_.OnPin("digits", std::nullopt);
  EXPECT_EQ(Logged(),
            "info model digits pinned to version 3\n"
            "info model digits is not pinned any more\n");
  EXPECT_THAT(observer_.events().pins, SizeIs(2));
}

TEST_F(LoggingObserverTest, PassesOnHowManyVersionsAreRefused) {
  observer_.OnRefusedVersions("digits", {0, 2});
  EXPECT_EQ(observer_.events().refused_versions["digits"][1], 2);
}

TEST_F(LoggingObserverTest, TellsOnceThatADeviceFailsAndThatItIsBack) {
  observer_.OnDeviceHealth("cuda:1", absl::OkStatus());
  EXPECT_EQ(Logged(), "info device cuda:1 is healthy\n");
  observer_.OnDeviceHealth("cuda:1", absl::InternalError("lost"));
  EXPECT_EQ(Logged(), "error device cuda:1 takes no work: INTERNAL: lost\n");
  observer_.OnDeviceHealth("cuda:1", absl::InternalError("still lost"));
  EXPECT_EQ(Logged(), "");
  observer_.OnDeviceHealth("cuda:1", absl::OkStatus());
  EXPECT_EQ(Logged(), "info device cuda:1 is healthy\n");
  EXPECT_THAT(observer_.events().device_health, SizeIs(4));
}

TEST_F(LoggingObserverTest, TellsWhatIsOddAboutADevice) {
  observer_.OnDeviceNotice("cuda:1", "digits/3: batches of 4 run as others");
  EXPECT_EQ(Logged(),
            "warning device cuda:1: digits/3: batches of 4 run as others\n");
  EXPECT_THAT(observer_.events().device_notices, SizeIs(1));
}

}  // namespace
}  // namespace ddgan

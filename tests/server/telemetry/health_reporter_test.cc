#include "server/telemetry/health_reporter.h"

#include <atomic>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

// Keeps the last status of "digits", the only name that the tests report.
class FakeHealth : public grpc::HealthCheckServiceInterface {
 public:
  void SetServingStatus(const std::string& name, bool serving) override {
    EXPECT_EQ(name, "digits");
    absl::MutexLock lock(&mu_);
    serving_ = serving;
  }
  void SetServingStatus(bool) override {}
  void Shutdown() override {}

  bool serving() const {
    absl::MutexLock lock(&mu_);
    return serving_;
  }
  void AwaitServing(bool serving) {
    absl::MutexLock lock(&mu_);
    auto is_so = [this, serving]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return serving_ == serving;
    };
    mu_.Await(absl::Condition(&is_so));
  }

 private:
  mutable absl::Mutex mu_;
  bool serving_ ABSL_GUARDED_BY(mu_) = false;
};

class HealthReporterTest : public ::testing::Test {
 protected:
  static constexpr absl::Duration kInterval = absl::Milliseconds(500);

  ManualClock clock_;
  std::atomic<bool> ready_ = true;
  FakeHealth health_;
  FakeHealth admin_health_;
  HealthReporter reporter_{{&health_, &admin_health_},
                           {"digits"},
                           [this] { return ready_.load(); },
                           kInterval,
                           &clock_};
};

TEST_F(HealthReporterTest, HasReportedToEveryPortBeforeItsFirstPoll) {
  EXPECT_TRUE(health_.serving());
  EXPECT_TRUE(admin_health_.serving());
}

TEST_F(HealthReporterTest, SeesWithoutAnyCallThatTheEngineIsNotReady) {
  for (const bool ready : {false, true}) {
    ready_ = ready;
    clock_.AwaitWaiter();
    clock_.Advance(kInterval);
    health_.AwaitServing(ready);
    admin_health_.AwaitServing(ready);
  }
}

TEST_F(HealthReporterTest, ServesNoMoreOnceStoppedWhateverTheEngineSays) {
  reporter_.StopServing();
  reporter_.StopServing();
  EXPECT_FALSE(health_.serving());
  EXPECT_FALSE(admin_health_.serving());
}

}  // namespace
}  // namespace ddgan

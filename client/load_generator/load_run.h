// Sends the calls of a load run to a server and counts what becomes of them.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_LOAD_RUN_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_LOAD_RUN_H_

#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/load_generator/arrival_schedule.h"
#include "client/load_generator/call_record.h"
#include "client/load_generator/load_options.h"
#include "client/load_generator/load_report.h"
#include "client/load_generator/load_tally.h"
#include "client/load_generator/reply_verifier.h"
#include "client/load_generator/request_mix.h"
#include "client/secure_channel.h"
#include "ddgan/v1/image_generation.grpc.pb.h"

namespace ddgan {

// As OpenChannel, but nothing is retried, not even by gRPC itself: what the
// server does is what is measured.
absl::StatusOr<std::shared_ptr<grpc::Channel>> CreateLoadChannel(
    const std::string& address, const ConnectionSecurity& security = {});

struct LoadProgress {
  CallCounts calls;  // Those of the warm-up, too.
  uint64_t outstanding = 0;
};

// One run. All decisions are made on the thread that calls Run(): it sends what
// is due, cancels what is to be cancelled, and counts what has ended. gRPC's
// threads take the replies, check them and hand over what is left of them, so a
// slow reply delays no call.
class LoadRun {
 public:
  // `standalone` is empty or has every count of the mix; it must not be empty
  // if calls are to be cancelled. `recorder` gets every call, those of the
  // warm-up, too, and must outlive the run; nullptr: none is recorded. The
  // run's time counts from here.
  LoadRun(std::shared_ptr<grpc::Channel> channel, LoadOptions options,
          std::map<uint32_t, absl::Duration> standalone,
          CallRecorder* recorder = nullptr);
  ~LoadRun();

  LoadRun(const LoadRun&) = delete;
  LoadRun& operator=(const LoadRun&) = delete;

  // Blocks until every call that was sent has ended. Once only. The report is
  // complete but for its `server`.
  LoadReport Run() ABSL_LOCKS_EXCLUDED(mu_);

  // Run() sends no further call and returns once those that it sent have ended.
  // Thread-safe, and may be called by a signal handler.
  void Stop() { stopped_ = true; }

  // Thread-safe.
  LoadProgress progress() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Call;

  // When the client ends a call that has no reply by then.
  struct PlannedAbort {
    absl::Duration when;
    uint64_t id;
    Abort why;

    friend bool operator>(const PlannedAbort& a, const PlannedAbort& b) {
      return a.when > b.when;
    }
  };

  absl::Duration Elapsed() const;
  bool MaySendMore() const;
  bool SendingIsOver(absl::Duration now) const;
  void SendDue(absl::Duration now);
  void Start(const CallPlan& plan, absl::Duration due);
  void OnReply(Call* call, absl::StatusCode code) ABSL_LOCKS_EXCLUDED(mu_);
  void AbortDue(absl::Duration now);
  void CountEnded() ABSL_LOCKS_EXCLUDED(mu_);
  void Count(const FinishedCall& call) ABSL_LOCKS_EXCLUDED(mu_);
  void Record(const FinishedCall& call, const v1::GenerateResponse& response,
              const std::string& sha256);
  void WaitForReply(absl::Duration until) ABSL_LOCKS_EXCLUDED(mu_);
  bool HasEnded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !ended_.empty();
  }

  // Constant after construction.
  const LoadOptions options_;
  const std::map<uint32_t, absl::Duration> standalone_;
  const absl::Duration sending_end_;  // Infinite if the calls bound the run.
  const std::unique_ptr<v1::ImageGeneration::Stub> images_;
  CallRecorder* const recorder_;
  const std::chrono::steady_clock::time_point start_;
  const absl::Time start_time_;  // The same moment on the wall clock.

  std::atomic<bool> stopped_ = false;

  // Used by the thread that calls Run() alone.
  ArrivalSchedule schedule_;
  RequestMix mix_;
  LoadTally tally_;
  ReplyVerifier verifier_;
  uint64_t next_id_ = 0;
  uint64_t due_after_warmup_ = 0;
  std::unordered_map<uint64_t, std::unique_ptr<Call>> outstanding_;
  std::priority_queue<PlannedAbort, std::vector<PlannedAbort>, std::greater<>>
      aborts_;

  mutable absl::Mutex mu_;
  std::vector<Call*> ended_ ABSL_GUARDED_BY(mu_);
  LoadProgress progress_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_LOAD_RUN_H_

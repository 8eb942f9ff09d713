// One lane: what its thread does with its device, and a record of it for those
// who watch the thread.
#ifndef DDGAN_ENGINE_LANE_THREADS_LANE_WORKER_H_
#define DDGAN_ENGINE_LANE_THREADS_LANE_WORKER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/base/clock.h"
#include "engine/lane_threads/hang_policy.h"
#include "engine/lanes/batch_runner.h"
#include "engine/scheduling/batch_scheduler.h"

namespace ddgan {

// Thread-safe. Its thread runs Work and holds a share of the worker: a thread
// that hangs in a call into its device may outlive everything else. Should it
// come back then, it stops within the worker for good and touches nothing else.
class LaneWorker {
 public:
  using NoticeTaker = std::function<void(const std::string& notice)>;

  struct Options {
    std::string device;  // Name in events, e.g. "cpu" or "cuda:0".
    // Called on the lane's own thread, once and again each time that the lane
    // was taken out: what LibTorch and OpenMP keep per thread then belongs to
    // the thread that runs the steps. The runner may call `on_notice` within
    // its calls, with what the operator should know (OnDeviceNotice).
    std::function<absl::StatusOr<std::unique_ptr<BatchRunner>>(
        NoticeTaker on_notice)>
        create_runner;
  };
  // How a runner is tried. Each version gets the time of an activity for it.
  struct Probe {
    // What is loaded now: a new runner is tried with all of it.
    std::function<std::vector<std::shared_ptr<const ServableVersion>>()>
        versions;
    // Whether the runner is sound with this version. As SlicedTask, it owns
    // what it uses.
    std::function<absl::Status(BatchRunner& runner,
                               const ServableVersion& version)>
        run;
  };

  // One piece of a longer work, of the length of a step.
  struct Slice {
    bool more = false;           // Another one is to follow.
    absl::Duration device_time;  // What it took.
  };
  // Runs the next slice on a lane. It owns what it uses: a lane that hangs in
  // it is not waited for.
  using SlicedTask =
      std::function<absl::StatusOr<Slice>(size_t lane, BatchRunner& runner)>;

  // A task as one lane runs it. `result` is there once `done` is notified.
  struct LaneTask {
    explicit LaneTask(SlicedTask task) : run_next(std::move(task)) {}
    const SlicedTask run_next;
    absl::Status result;
    absl::Notification done;
  };

  // What the lane is doing.
  struct State {
    LaneActivity activity;
    bool open = false;  // Serves requests.
  };

  // While a lane has batches to run, slices get one part in this many of its
  // time.
  static constexpr int kSliceShare = 10;

  // The scheduler's lane `lane`. `scheduler`, `observer` and `clock` must stay
  // until AwaitEnd has returned.
  LaneWorker(size_t lane, Options options, Probe probe,
             BatchScheduler* scheduler, EngineObserver* observer, Clock* clock);

  // The thread: makes a runner, then runs batches and tasks until the
  // scheduler is stopped. A lane that is taken out gives up its runner, waits,
  // makes a new one and returns once the probe succeeds on it.
  void Work();

  // Blocks until the first runner exists. If it cannot be made, or its creation
  // hangs, that error with the device's name before it.
  absl::Status AwaitCreated() ABSL_LOCKS_EXCLUDED(mu_);
  // Hands over a task. False if the lane is out: it will not be run. Its
  // result is Unavailable if the lane is taken out or stopped before its end,
  // Internal if the lane hangs in it.
  bool AddTask(std::shared_ptr<LaneTask> task) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the tasks that wait or run, with Unavailable, and takes no more.
  void EndTasks() ABSL_LOCKS_EXCLUDED(mu_);

  State state() const ABSL_LOCKS_EXCLUDED(mu_);
  const std::string& device() const { return options_.device; }

  // The lane hangs in `activity`: its work starts again elsewhere, its tasks
  // end, and the observer is told `reason`. False if it has come back. When it
  // comes back later it makes a new runner, as after any take-out.
  bool TakeOut(const LaneActivity& activity, const absl::Status& reason)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The lane is lost in `activity`, for which it was taken out: the observer is
  // told `reason`. False if it has come back; then nobody is told.
  bool ReportLost(const LaneActivity& activity, const absl::Status& reason)
      ABSL_LOCKS_EXCLUDED(mu_);

  // After the scheduler was stopped: waits until the thread touches nothing but
  // this worker any more. True if it has left Work and can be joined, false if
  // it hangs (hang_policy.h).
  bool AwaitEnd() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Runs batches until the lane is taken out (the reason) or stopped (OK).
  absl::Status RunBatches(BatchRunner& runner);
  // Runs what NextBatch gave. As RunBatches.
  absl::Status RunBatch(const LaneBatch& batch, BatchRunner& runner);
  // A new runner for a lane that was taken out; null if stopped meanwhile.
  std::unique_ptr<BatchRunner> Recover();
  absl::StatusOr<std::unique_ptr<BatchRunner>> CreateRunner();
  // As EndActivity; `status` is the probe's.
  bool ProbeRunner(BatchRunner& runner, const ServableVersion& version,
                   absl::Status* status);
  // Of a new runner, which is sound however late it says so.
  absl::Status ProbeEveryVersion(BatchRunner& runner);
  // Destroying a runner frees its device's memory, which may hang.
  void GiveUp(std::unique_ptr<BatchRunner> runner);
  // After LaneHealth::Action::kProbe. As RunBatches.
  absl::Status ProbeInService(BatchRunner& runner);
  // Runs a slice of the first task, if there is one. As EndActivity.
  bool RunSlice(BatchRunner& runner);
  void ReportStep(const LaneBatch& batch, const StepOutcome& step);
  // What the step of `batch`, which has rows, takes as a rule. Nothing if that
  // is unknown, or if it is the first of its size on a new runner, which may
  // still have to compile and record it.
  std::optional<absl::Duration> ExpectedTime(const LaneBatch& batch) const;
  // The runner has run a step of `batch`.
  void NoteSize(const LaneBatch& batch);

  // Around every call into the device. EndActivity is false if the lane was
  // taken out meanwhile, of which the scheduler knows, and does not return if
  // nobody waits for the thread any more.
  void BeginActivity(LaneActivity::Kind kind,
                     std::optional<absl::Duration> expected = std::nullopt)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool EndActivity() ABSL_LOCKS_EXCLUDED(mu_);
  // Keeps the thread from leaving `activity` until LetGo, should its call end.
  // False, and no LetGo follows, if it has left.
  bool HoldIn(const LaneActivity& activity) ABSL_LOCKS_EXCLUDED(mu_);
  void LetGo() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  bool HasTask() const ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the first task.
  void EndTask(absl::Status result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndEveryTask() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The lane serves, or not any more.
  void SetOpen(bool open) ABSL_LOCKS_EXCLUDED(mu_);
  // Of the first runner.
  void SetCreated(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const size_t lane_;
  const Options options_;
  const Probe probe_;
  BatchScheduler* const scheduler_;
  EngineObserver* const observer_;
  Clock* const clock_;

  // Of the thread.
  int64_t memory_bytes_ = 0;
  int max_batch_size_;
  absl::Duration owed_to_batches_;  // They must run before the next slice.
  // Of a row that was not finite; null if there was none since the last probe.
  std::shared_ptr<const ServableVersion> probe_due_;
  // What the runner said in the call that it is in.
  std::vector<std::string> notices_;
  // Of a runner that was made after a take-out: the rows of the largest batch
  // that it has run of each version. The lane's first runner has run every size
  // in the versions' trials.
  bool recovered_ = false;
  std::map<std::weak_ptr<const ServableVersion>, int, std::owner_less<>>
      largest_batch_;

  mutable absl::Mutex mu_;
  absl::CondVar changed_;
  LaneActivity activity_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> created_ ABSL_GUARDED_BY(mu_);
  bool open_ ABSL_GUARDED_BY(mu_) = false;  // Serves requests and tasks.
  bool takes_tasks_ ABSL_GUARDED_BY(mu_) = true;
  // In turn; the first has begun.
  std::deque<std::shared_ptr<LaneTask>> tasks_ ABSL_GUARDED_BY(mu_);
  // Of the activity: HoldIn; the lane was taken out for it.
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  bool taken_out_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;      // Work has returned.
  bool abandoned_ ABSL_GUARDED_BY(mu_) = false;  // Nobody waits for the thread.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANE_THREADS_LANE_WORKER_H_

// CPU threads that decode the pictures of guides and submit their requests, so
// that neither a gRPC thread nor an encoder, which ends all calls, waits for a
// picture: a PNG of a few KiB may unpack to one that takes tens of
// milliseconds.
//
// Bounded on the way in: a call books room before it takes its place in the
// engine. Callers take turns; guide_queue.h decides.
#ifndef DDGAN_SERVER_CALLS_GUIDE_DECODER_H_
#define DDGAN_SERVER_CALLS_GUIDE_DECODER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/calls/guide_queue.h"
#include "server/calls/worker_threads.h"

namespace ddgan {

// Thread-safe.
class GuideDecoder {
 public:
  using Id = GuideQueue::Id;
  // Gets OK when it is the guide's turn, otherwise why there will be none.
  using Task = absl::AnyInvocable<void(const absl::Status& turn)>;

  // Room for one guide; gives it back when destroyed. Must not outlive the
  // decoder.
  class Room {
   public:
    Room(Room&& other) noexcept;
    Room& operator=(Room&& other) noexcept;
    ~Room();

   private:
    friend class GuideDecoder;
    Room(GuideDecoder* decoder, Id id) : decoder_(decoder), id_(id) {}

    GuideDecoder* decoder_;  // Null once moved from.
    Id id_;
  };

  // `num_threads` at least 1. They yield to the process's other threads where
  // there are not processors enough for all.
  GuideDecoder(int num_threads, const GuideRoom& room)
      : queue_(room), threads_(num_threads, kNiceness) {}

  GuideDecoder(const GuideDecoder&) = delete;
  GuideDecoder& operator=(const GuideDecoder&) = delete;

  // Runs what is queued first.
  ~GuideDecoder() = default;

  // Nothing if there is no room now for what a guide of `caller` wants.
  std::optional<Room> Reserve(const std::string& caller, GuideRoom wanted)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Runs `task` when it is the turn of the guide that `room` is for, and then
  // gives back the room. Returns at once; after Close it has run `task`.
  Id Run(Room room, Task task) ABSL_LOCKS_EXCLUDED(mu_);

  // True if the task has not begun: it never will, and is gone, with its room.
  bool Withdraw(Id id) ABSL_LOCKS_EXCLUDED(mu_);

  // Whatever waits, and whatever comes from now on, gets `reason`, which is not
  // OK, in the place of its turn; runs what waits. Once.
  void Close(const absl::Status& reason) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // A third of a processor beside one busy thread of the usual niceness, and a
  // tenth beside three: lanes and encoders go first, and guides still advance.
  static constexpr int kNiceness = 5;

  struct Waiting {
    Room room;  // Outlives the task.
    Task task;
  };

  void RunNext() ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  GuideQueue queue_ ABSL_GUARDED_BY(mu_);
  std::map<Id, Waiting> waiting_ ABSL_GUARDED_BY(mu_);
  absl::Status closed_ ABSL_GUARDED_BY(mu_);  // Not OK: why.

  WorkerThreads threads_;  // Last: what is queued uses the rest.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GUIDE_DECODER_H_

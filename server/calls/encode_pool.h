// CPU threads that turn finished images into reply bytes, so that neither a
// lane nor a gRPC thread waits for PNG compression or a large copy.
//
// The queue is bounded on the way in, not on the way out: a call reserves room
// for its images before it is submitted, so a lane that hands over an image
// never finds the queue full and never waits.
#ifndef DDGAN_SERVER_CALLS_ENCODE_POOL_H_
#define DDGAN_SERVER_CALLS_ENCODE_POOL_H_

#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/calls/worker_threads.h"

namespace ddgan {

// Thread-safe.
class EncodePool {
 public:
  using Task = WorkerThreads::Task;

  // Room for a number of images; gives it back when destroyed. Must not outlive
  // the pool.
  class Reservation {
   public:
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation();

   private:
    friend class EncodePool;
    Reservation(EncodePool* pool, int images) : pool_(pool), images_(images) {}

    EncodePool* pool_;  // Null once moved from.
    int images_;
  };

  // `num_threads` at least 1. `capacity` is the number of images that may be
  // reserved at a time.
  EncodePool(int num_threads, int capacity);

  EncodePool(const EncodePool&) = delete;
  EncodePool& operator=(const EncodePool&) = delete;

  // Runs what is queued first.
  ~EncodePool() = default;

  // Nothing if fewer than `images` places are free.
  std::optional<Reservation> Reserve(int images) ABSL_LOCKS_EXCLUDED(mu_);

  // As WorkerThreads::Run. The caller holds a reservation, which bounds the
  // queue.
  void Run(Task task);

 private:
  void GiveBack(int images) ABSL_LOCKS_EXCLUDED(mu_);

  const int capacity_;  // Constant after construction.

  absl::Mutex mu_;
  int reserved_ ABSL_GUARDED_BY(mu_) = 0;

  WorkerThreads threads_;  // Last: what is queued gives room back.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_ENCODE_POOL_H_

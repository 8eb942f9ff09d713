// The events of one stream on their way from whoever has them to the reader's
// connection.
#ifndef DDGAN_CLIENT_PLAYGROUND_EVENT_OUTBOX_H_
#define DDGAN_CLIENT_PLAYGROUND_EVENT_OUTBOX_H_

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ddgan::playground {

// The side of whoever has events. Thread-safe, and good for longer than the
// connection: then the reader is gone.
class EventWriter {
 public:
  virtual ~EventWriter() = default;

  // Does not block. False if the reader is gone.
  virtual bool Write(const std::string& event) = 0;

  // Blocks while more than kMaxWaitingBytes wait for the connection. False if
  // the reader is gone.
  virtual bool AwaitRoom() = 0;
  static constexpr size_t kMaxWaitingBytes = size_t{1} << 20;

  // What was written still goes out, nothing more is taken.
  virtual void End() = 0;

  // Calls `callback` once the reader is gone, or at once if it is: on the
  // connection's thread, or the caller's. Not after End. It must not block.
  virtual void OnGone(std::function<void()> callback) = 0;
};

// Both sides. Thread-safe.
class EventOutbox final : public EventWriter {
 public:
  // `wake` tells the connection that there is something to take. It is called
  // on any thread, under a lock, and must not block.
  explicit EventOutbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  bool Write(const std::string& event) override ABSL_LOCKS_EXCLUDED(mu_);
  bool AwaitRoom() override ABSL_LOCKS_EXCLUDED(mu_);
  void End() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnGone(std::function<void()> callback) override ABSL_LOCKS_EXCLUDED(mu_);

  // All that waits, for the connection. At the end: nothing, and true.
  std::pair<std::string, bool> Take() ABSL_LOCKS_EXCLUDED(mu_);

  // Whether it has an end, which may be yet to be taken.
  bool ended() const ABSL_LOCKS_EXCLUDED(mu_);

  // The reader has left. `wake` is not called any more.
  void SetGone() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return gone_ || waiting_.size() <= kMaxWaitingBytes;
  }

  const std::function<void()> wake_;
  mutable absl::Mutex mu_;
  std::string waiting_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool gone_ ABSL_GUARDED_BY(mu_) = false;
  std::function<void()> on_gone_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_EVENT_OUTBOX_H_

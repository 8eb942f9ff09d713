// Memory that calls may hold, booked before they begin: their request and, by
// the largest that it can become, their reply. Whoever reads slowly, or not at
// all, keeps it for so long; the ledger bounds what that comes to.
#ifndef DDGAN_SERVER_CONNECTIONS_BYTE_LEDGER_H_
#define DDGAN_SERVER_CONNECTIONS_BYTE_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ddgan {

// Thread-safe.
class ByteLedger {
 public:
  struct Limits {
    int64_t total = 0;
    int64_t per_caller = 0;
  };

  // Why there is no room, now.
  enum class Refusal { kTotal, kCaller };

  // Bytes on a caller's account; gives them back when destroyed. Must not
  // outlive the ledger. Not thread-safe.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation();

    // Gives back all but `bytes`, or all if that is less than 0. No effect if
    // it holds no more.
    void ShrinkTo(int64_t bytes);

    int64_t bytes() const { return bytes_; }

   private:
    friend class ByteLedger;
    Reservation(ByteLedger* ledger, std::string caller, int64_t bytes);

    ByteLedger* ledger_ = nullptr;  // Null: holds nothing.
    std::string caller_;
    int64_t bytes_ = 0;
  };

  // `on_change` gets what is reserved after each change, in order, with a lock
  // held: it returns at once.
  ByteLedger(const Limits& limits, std::function<void(int64_t)> on_change);

  ByteLedger(const ByteLedger&) = delete;
  ByteLedger& operator=(const ByteLedger&) = delete;

  // `bytes` at least 0.
  std::variant<Reservation, Refusal> Reserve(const std::string& caller,
                                             int64_t bytes)
      ABSL_LOCKS_EXCLUDED(mu_);

  const Limits& limits() const { return limits_; }

  // Callers that are remembered: those with something reserved.
  size_t callers() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void GiveBack(const std::string& caller, int64_t bytes)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Limits limits_;
  const std::function<void(int64_t)> on_change_;

  mutable absl::Mutex mu_;
  int64_t reserved_ ABSL_GUARDED_BY(mu_) = 0;
  // None of them is 0.
  std::map<std::string, int64_t> reserved_by_caller_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_BYTE_LEDGER_H_

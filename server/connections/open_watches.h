// How many watches are open on a port: calls that have no end of their own, so
// that nothing else bounds them but what connections may carry.
#ifndef DDGAN_SERVER_CONNECTIONS_OPEN_WATCHES_H_
#define DDGAN_SERVER_CONNECTIONS_OPEN_WATCHES_H_

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace ddgan {

// Thread-safe.
class OpenWatches {
 public:
  static constexpr int kMax = 1024;

  // A watch that is open until this is destroyed, which is before the
  // OpenWatches is.
  class Place {
   public:
    Place(Place&& other) noexcept;
    Place& operator=(Place&&) = delete;
    ~Place();

   private:
    friend class OpenWatches;
    Place(OpenWatches* watches, std::string group);

    OpenWatches* watches_;  // Null once moved from.
    std::string group_;
  };

  OpenWatches() = default;
  OpenWatches(const OpenWatches&) = delete;
  OpenWatches& operator=(const OpenWatches&) = delete;

  // A place for a watch of `peer`, a gRPC peer's text, or none: a PeerGroup may
  // have no more of kMax than what stays free for others.
  std::optional<Place> Enter(const std::string& peer) ABSL_LOCKS_EXCLUDED(mu_);

  // What a watch without a place ends with: ResourceExhausted.
  static absl::Status Refusal();

 private:
  void Leave(const std::string& group) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  int open_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, int> of_group_ ABSL_GUARDED_BY(mu_);  // None is 0.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_OPEN_WATCHES_H_

// When a drain is over. Pure.
#ifndef DDGAN_SERVER_CONNECTIONS_DRAIN_POLICY_H_
#define DDGAN_SERVER_CONNECTIONS_DRAIN_POLICY_H_

#include "absl/time/time.h"

namespace ddgan {

// How long no call may have been in flight, since every connection was told to
// go away, before those that stay open anyhow are cut: watches of
// grpc.health.v1 that have no end, and peers that are gone without a word.
// Longer than any round trip, within which a peer may still begin a call.
inline constexpr absl::Duration kDrainQuietTime = absl::Seconds(2);

// A server whose connections have been told to go away.
struct DrainView {
  bool has_connections = false;
  int calls_in_flight = 0;
  // InfinitePast if none has ended.
  absl::Time last_call_ended = absl::InfinitePast();
};

enum class DrainVerdict {
  kWait,
  kDone,       // Nobody is left who could begin a call.
  kOutOfTime,  // Whoever is left has to be cut off.
};

// `told`: when the connections were told. `deadline`: when patience ends. All
// times are of one monotonic clock.
DrainVerdict JudgeDrain(const DrainView& view, absl::Time told,
                        absl::Time deadline, absl::Time now);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_DRAIN_POLICY_H_

// Which guide is decoded next, and whether there is room for one more: the
// decisions of guide_decoder.h. No threads, no pictures.
#ifndef DDGAN_SERVER_CALLS_GUIDE_QUEUE_H_
#define DDGAN_SERVER_CALLS_GUIDE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace ddgan {

// Images that guides ask for, each of which has a place in the engine while its
// guide waits, and the bytes that the guides' pictures unpack to.
struct GuideRoom {
  int64_t images = 0;
  int64_t bytes = 0;
};

// Whether a caller that has `own` of the `booked` room gets `wanted` more: yes
// while it then has no more than is left free for the others. So one caller
// alone gets half of the room, two get a third each, and however many there
// are, they leave room for another. Pure.
bool HasGuideRoom(const GuideRoom& all, const GuideRoom& booked,
                  const GuideRoom& own, const GuideRoom& wanted);

// A guide has room booked from Book to Release. In between it may wait once for
// its turn: callers take turns, and each caller's guides are decoded in their
// order, so a flood of one caller waits in that caller's own line. Not
// thread-safe.
class GuideQueue {
 public:
  using Id = uint64_t;

  // `room`: at least 2 images and twice the bytes of the largest guide, or that
  // is never taken.
  explicit GuideQueue(const GuideRoom& room) : room_(room) {}

  // Books room for a guide of `caller`. Nothing if there is none
  // (HasGuideRoom); `wanted.images`, at least 1, counts for at most half of
  // all, so that no call is too large for ever.
  std::optional<Id> Book(const std::string& caller, GuideRoom wanted);

  // The guide waits from now on.
  void Add(Id id);

  // The guide whose turn it is; it waits no longer. Nothing if none waits.
  std::optional<Id> Next();

  // Takes the guide out of its line. False if it does not wait.
  bool Remove(Id id);

  // Gives back the guide's room. It does not wait.
  void Release(Id id);

  // Callers that are remembered: those with room booked.
  size_t callers() const { return callers_.size(); }

 private:
  struct Guide {
    std::string caller;
    GuideRoom booked;
  };
  struct Caller {
    GuideRoom booked;
    std::deque<Id> waiting;
  };

  const GuideRoom room_;
  GuideRoom booked_;
  Id next_id_ = 1;
  std::map<Id, Guide> guides_;             // With room booked.
  std::map<std::string, Caller> callers_;  // Of these guides.
  std::deque<std::string> turns_;          // Callers with a guide that waits.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GUIDE_QUEUE_H_

// Images as they were sent, and images that are on their way: an image that was
// made need not be made again, and one that several ask for at the same time is
// made once.
#ifndef DDGAN_SERVER_CALLS_IMAGE_CACHE_H_
#define DDGAN_SERVER_CALLS_IMAGE_CACHE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/generation.h"
#include "server/calls/call_observer.h"

namespace ddgan {

// In whose turn the engine makes an image.
struct MakingTurn {
  std::string caller;
  RequestClass request_class = RequestClass::kInteractive;
  absl::Time deadline = absl::InfiniteFuture();
};

// Whether `asker` may wait for an image that is made in `maker`'s turn instead
// of having it made in its own. Never an interactive call for the batch class.
// If `few_ahead`, it was asked for while little else was, so it comes soon
// whoever asked. Otherwise only what is made for the same caller, by no later a
// deadline: nobody waits behind all that a stranger has asked for.
bool MayJoin(const MakingTurn& asker, const MakingTurn& maker, bool few_ahead);

// A key (image_key.h) stands for the bytes of an image. Whoever asks for it
// gets it, or waits for it, or has to make it. One who makes an image is its
// *maker* until it is published, or the maker gives it up; then the most urgent
// of those who wait takes over, and the others wait for that one where they may
// (MayJoin), else they all make it. So everybody who waits hears exactly one of
// the Asker's two methods, unless it leaves.
//
// Thread-safe. An asker is told without the lock held, on the thread of whoever
// published or gave up.
class ImageCache {
 public:
  // In each of the formats that the key names, in their order.
  using Image = std::shared_ptr<const std::vector<std::string>>;

  // A call. Both methods return quickly.
  class Asker {
   public:
    virtual ~Asker() = default;
    // What it waits for at `position` is there.
    virtual void OnImageMade(uint32_t position, Image image) = 0;
    // Nobody else makes it any more: it is its maker from now on.
    virtual void OnTakeOver(uint32_t position) = 0;
  };

  // One image that a call wants. A call may want the same one several times.
  struct Want {
    std::shared_ptr<Asker> asker;  // Held while it waits.
    uint32_t position = 0;         // Of the image in the call.
    MakingTurn turn;
  };

  enum class Answer {
    kKept,    // Here it is.
    kJoined,  // The asker will be told.
    kMake,    // The asker has become its maker: it publishes it or gives it up.
  };
  struct Found {
    Answer answer = Answer::kMake;
    Image image;  // Of kKept.
  };

  // An image counts as on its way soon if, when its maker asked, at most so
  // many others were being made: one call's worth.
  static constexpr int kFewAhead = GenerationRequest::kMaxCount;

  // What an image takes beside its bytes and its key, and what each of its
  // formats does: nodes of the tables, and what the allocator adds.
  static constexpr int64_t kImageOverheadBytes = 320;
  static constexpr int64_t kFormatOverheadBytes = 64;

  // Keeps at most `max_bytes`, overhead included; those that were not asked for
  // for the longest time go first. `observer` must outlive the cache; it is
  // called with the lock held.
  ImageCache(int64_t max_bytes, CallObserver* observer);

  ImageCache(const ImageCache&) = delete;
  ImageCache& operator=(const ImageCache&) = delete;

  Found Ask(const std::string& key, Want want) ABSL_LOCKS_EXCLUDED(mu_);

  // Keeps the image, and hands it to all who wait for it. Also for who is not
  // its maker, or is so no more. No effect if it is kept.
  void Publish(const std::string& key, Image image) ABSL_LOCKS_EXCLUDED(mu_);

  // The maker will not publish it. No effect for who is not its maker, such as
  // after somebody else published it.
  void GiveUp(const std::string& key, const Asker* maker, uint32_t position)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Does not want to wait any more. False if it does not wait: it has been
  // told, or is about to be.
  bool Leave(const std::string& key, const Asker* asker, uint32_t position)
      ABSL_LOCKS_EXCLUDED(mu_);

  // What the images that are kept take.
  int64_t bytes() const ABSL_LOCKS_EXCLUDED(mu_);

  // That `image` takes.
  static int64_t BytesOf(const std::string& key, const Image& image);

 private:
  struct Kept {
    std::string key;
    Image image;
    int64_t bytes = 0;
  };
  // Made for `maker`, and who waits for it.
  struct Making {
    Want maker;
    bool few_ahead = false;
    std::vector<Want> waiting;
  };
  using Makings = std::unordered_map<std::string, std::vector<Making>>;

  // True: `want` waits for one of `makings`. Else it is moved into a new one.
  bool JoinOrMake(std::vector<Making>& makings, Want want)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Keep(const std::string& key, Image image)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const int64_t max_bytes_;
  CallObserver* const observer_;

  mutable absl::Mutex mu_;
  std::list<Kept> kept_ ABSL_GUARDED_BY(mu_);  // Asked for last is in front.
  // Keys are those in kept_.
  std::unordered_map<std::string_view, std::list<Kept>::iterator> index_
      ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  Makings makings_ ABSL_GUARDED_BY(mu_);  // None of them empty.
  int being_made_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_IMAGE_CACHE_H_

// What a GenerateStream call sends next, and which previews it never sends. No
// threads, no gRPC: the decisions of generate_stream_reactor.h.
//
// The order is `accepted`, then images before previews, then the summary. One
// event is written at a time. Meanwhile images queue up, all of them, whereas
// of each image only the newest preview waits, and an image that is done takes
// the place of its previews. What is so replaced counts as dropped.
//
// Previews wait as pixels, so that most of those that are dropped were never
// encoded: one is encoded ahead of the writes, and the next once that is gone.
#ifndef DDGAN_SERVER_CALLS_STREAM_QUEUE_H_
#define DDGAN_SERVER_CALLS_STREAM_QUEUE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <set>

#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/generation.h"

namespace ddgan {

// Not thread-safe.
class StreamQueue {
 public:
  struct Preview {
    GeneratedImage x0;
    int step = 0;
  };

  // Nothing is sent before this, whatever is added.
  void Accept(v1::StreamAccepted accepted);

  // The engine made a preview of an image that it has not finished.
  void AddPreview(Preview preview);

  // Whether the caller is to have a preview encoded now: it then calls
  // TakeToEncode, once. True at most once until that preview is sent or
  // dropped.
  bool ScheduleEncoding();

  // The preview to encode. Nothing if those that waited were dropped meanwhile.
  std::optional<Preview> TakeToEncode();

  // What TakeToEncode gave is encoded.
  void AddEncodedPreview(v1::StreamPreview preview);

  void AddImage(v1::GeneratedImage image);

  // Nothing is added any more, and nothing is being encoded. Drops the previews
  // that wait, and the images of a call that was never accepted. With a
  // summary, that is sent last, its counts filled in here.
  void End(std::optional<v1::StreamSummary> summary);

  // Nobody reads any more: nothing is sent from now on.
  void Abandon();

  // The event to write now, which is being written until WriteDone. Nothing
  // while another is, or if there is none.
  std::optional<v1::GenerateStreamResponse> Next();
  void WriteDone() { writing_ = false; }

  // Whether the call is over: ended, and nothing is left to write.
  bool Drained() const;

  int previews_dropped() const { return previews_dropped_; }

 private:
  // The one preview that is past waiting.
  enum class Ahead { kNone, kScheduled, kEncoding, kEncoded };

  std::deque<Preview>::iterator FindWaiting(uint32_t index);
  // If the encoded preview that waits to be written is of that image.
  void DropEncoded(uint32_t index);

  bool writing_ = false;
  bool ended_ = false;
  bool abandoned_ = false;
  std::optional<v1::StreamAccepted> accepted_;
  bool accepted_sent_ = false;
  std::optional<v1::StreamSummary> summary_;

  std::deque<v1::GeneratedImage> images_;
  std::set<uint32_t> added_images_;  // Their indices, also of those sent.

  std::deque<Preview> waiting_;  // At most one per image.
  Ahead ahead_ = Ahead::kNone;
  v1::StreamPreview encoded_;  // While kEncoded.

  int images_sent_ = 0;
  int previews_sent_ = 0;
  int previews_dropped_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_STREAM_QUEUE_H_

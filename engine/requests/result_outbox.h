// The results of one request on their way to its sink.
#ifndef DDGAN_ENGINE_REQUESTS_RESULT_OUTBOX_H_
#define DDGAN_ENGINE_REQUESTS_RESULT_OUTBOX_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "engine/api/generation.h"

namespace ddgan {

// Keeps the sink's contract: one call at a time, in the order of posting,
// OnFinished exactly once and last, and no lock held during a call. Results are
// posted under the scheduler's lock and delivered after it was released;
// whichever thread finds the sink idle delivers for all. Thread-safe.
class ResultOutbox {
 public:
  // Posting and delivering allocate nothing while no more than `capacity`
  // results wait.
  ResultOutbox(std::shared_ptr<GenerationSink> sink, size_t capacity);

  // Not after PostFinish.
  void PostImage(GeneratedImage image);
  void PostPreview(GeneratedImage x0, int t);
  // At most once.
  void PostFinish(const absl::Status& status, const GenerationTimings& timings);

  // Delivers what was posted. Returns at once if another thread is delivering:
  // that one takes this too. True if this call delivered OnFinished; the sink
  // has been let go by then.
  bool Deliver();

 private:
  // An image, or a preview of one.
  struct Item {
    GeneratedImage image;
    std::optional<int> preview_of_step;
  };
  struct Finish {
    absl::Status status;
    GenerationTimings timings;
  };

  absl::Mutex mu_;
  std::shared_ptr<GenerationSink> sink_ ABSL_GUARDED_BY(mu_);
  std::vector<Item> items_ ABSL_GUARDED_BY(mu_);
  std::optional<Finish> finish_ ABSL_GUARDED_BY(mu_);
  bool delivering_ ABSL_GUARDED_BY(mu_) = false;

  // Of the thread that is delivering.
  std::vector<Item> in_delivery_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_REQUESTS_RESULT_OUTBOX_H_

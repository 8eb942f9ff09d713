#include "engine/result_outbox.h"

#include <utility>

namespace ddgan {

ResultOutbox::ResultOutbox(std::shared_ptr<GenerationSink> sink)
    : sink_(std::move(sink)) {}

void ResultOutbox::PostImage(GeneratedImage image) {
  absl::MutexLock lock(&mu_);
  images_.push_back(std::move(image));
}

void ResultOutbox::PostFinish(const absl::Status& status,
                              const GenerationTimings& timings) {
  absl::MutexLock lock(&mu_);
  finish_.emplace(Finish{status, timings});
}

bool ResultOutbox::Deliver() {
  std::vector<GeneratedImage> images;
  std::optional<Finish> finish;
  std::shared_ptr<GenerationSink> sink;
  {
    absl::MutexLock lock(&mu_);
    if (delivering_) return false;
    delivering_ = true;
  }
  while (true) {
    images.clear();
    {
      absl::MutexLock lock(&mu_);
      if (images_.empty() && !finish_) {
        delivering_ = false;
        return false;
      }
      images.swap(images_);
      finish.swap(finish_);
      sink = sink_;
      // Nothing comes after the end: let the receiver go with the last call,
      // not with the last row that a lane still holds.
      if (finish) sink_.reset();
    }
    for (GeneratedImage& image : images) sink->OnImage(std::move(image));
    if (finish) {
      sink->OnFinished(finish->status, finish->timings);
      // Stays "delivering": a late call finds nothing to do.
      return true;
    }
  }
}

}  // namespace ddgan

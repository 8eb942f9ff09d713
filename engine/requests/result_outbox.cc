#include "engine/requests/result_outbox.h"

#include <utility>

namespace ddgan {

ResultOutbox::ResultOutbox(std::shared_ptr<GenerationSink> sink,
                           size_t capacity)
    : sink_(std::move(sink)) {
  items_.reserve(capacity);
  in_delivery_.reserve(capacity);
}

void ResultOutbox::PostImage(GeneratedImage image) {
  absl::MutexLock lock(&mu_);
  items_.push_back({std::move(image), std::nullopt});
}

void ResultOutbox::PostPreview(GeneratedImage x0, int t) {
  absl::MutexLock lock(&mu_);
  items_.push_back({std::move(x0), t});
}

void ResultOutbox::PostFinish(const absl::Status& status,
                              const GenerationTimings& timings) {
  absl::MutexLock lock(&mu_);
  finish_.emplace(Finish{status, timings});
}

bool ResultOutbox::Deliver() {
  std::optional<Finish> finish;
  std::shared_ptr<GenerationSink> sink;
  {
    absl::MutexLock lock(&mu_);
    if (delivering_) return false;
    delivering_ = true;
  }
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (items_.empty() && !finish_) {
        delivering_ = false;
        return false;
      }
      items_.swap(in_delivery_);
      finish.swap(finish_);
      sink = sink_;
      // Nothing comes after the end: let the receiver go with the last call,
      // not with the last row that a lane still holds.
      if (finish) sink_.reset();
    }
    for (Item& item : in_delivery_) {
      if (item.preview_of_step) {
        sink->OnPreview(std::move(item.image), *item.preview_of_step);
      } else {
        sink->OnImage(std::move(item.image));
      }
    }
    in_delivery_.clear();
    if (finish) {
      sink->OnFinished(finish->status, finish->timings);
      // Stays "delivering": a late call finds nothing to do.
      return true;
    }
  }
}

}  // namespace ddgan

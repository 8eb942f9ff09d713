#include "server/calls/stream_queue.h"

#include <algorithm>
#include <utility>

namespace ddgan {

void StreamQueue::Accept(v1::StreamAccepted accepted) {
  accepted_ = std::move(accepted);
}

void StreamQueue::AddPreview(Preview preview) {
  if (abandoned_) return;
  DropEncoded(preview.x0.index);
  const auto older = FindWaiting(preview.x0.index);
  if (older == waiting_.end()) {
    waiting_.push_back(std::move(preview));
    return;
  }
  *older = std::move(preview);  // Keeps its place in the line.
  ++previews_dropped_;
}

bool StreamQueue::ScheduleEncoding() {
  if (abandoned_ || ahead_ != Ahead::kNone || waiting_.empty()) return false;
  ahead_ = Ahead::kScheduled;
  return true;
}

std::optional<StreamQueue::Preview> StreamQueue::TakeToEncode() {
  if (waiting_.empty()) {
    ahead_ = Ahead::kNone;
    return std::nullopt;
  }
  ahead_ = Ahead::kEncoding;
  Preview preview = std::move(waiting_.front());
  waiting_.pop_front();
  return preview;
}

void StreamQueue::AddEncodedPreview(v1::StreamPreview preview) {
  ahead_ = Ahead::kNone;
  if (abandoned_) return;
  const bool newer_waits = FindWaiting(preview.index()) != waiting_.end();
  if (added_images_.count(preview.index()) > 0 || (writing_ && newer_waits)) {
    ++previews_dropped_;
    return;
  }
  ahead_ = Ahead::kEncoded;
  encoded_ = std::move(preview);
}

void StreamQueue::AddImage(v1::GeneratedImage image) {
  if (abandoned_) return;
  const uint32_t index = image.index();
  added_images_.insert(index);
  DropEncoded(index);
  if (const auto older = FindWaiting(index); older != waiting_.end()) {
    waiting_.erase(older);
    ++previews_dropped_;
  }
  images_.push_back(std::move(image));
}

void StreamQueue::End(std::optional<v1::StreamSummary> summary) {
  ended_ = true;
  // Another call had made them before the engine refused the rest.
  if (!accepted_.has_value()) images_.clear();
  previews_dropped_ += static_cast<int>(waiting_.size());
  waiting_.clear();
  if (ahead_ == Ahead::kEncoded) ++previews_dropped_;
  ahead_ = Ahead::kNone;
  summary_ = std::move(summary);
}

void StreamQueue::Abandon() {
  abandoned_ = true;
  images_.clear();
  waiting_.clear();
  if (ahead_ == Ahead::kEncoded) ahead_ = Ahead::kNone;
}

std::optional<v1::GenerateStreamResponse> StreamQueue::Next() {
  if (writing_ || abandoned_ || !accepted_.has_value()) return std::nullopt;
  v1::GenerateStreamResponse event;
  if (!accepted_sent_) {
    *event.mutable_accepted() = std::move(*accepted_);
    accepted_sent_ = true;
  } else if (!images_.empty()) {
    *event.mutable_image() = std::move(images_.front());
    images_.pop_front();
    ++images_sent_;
  } else if (ahead_ == Ahead::kEncoded) {
    *event.mutable_preview() = std::move(encoded_);
    ahead_ = Ahead::kNone;
    ++previews_sent_;
  } else if (summary_.has_value()) {
    v1::StreamSummary* summary = event.mutable_summary();
    *summary = *std::move(summary_);
    summary_.reset();
    summary->set_images(images_sent_);
    summary->set_previews_sent(previews_sent_);
    summary->set_previews_dropped(previews_dropped_);
  } else {
    return std::nullopt;
  }
  writing_ = true;
  return event;
}

bool StreamQueue::Drained() const {
  if (!ended_ || writing_) return false;
  return abandoned_ || (images_.empty() && !summary_.has_value());
}

std::deque<StreamQueue::Preview>::iterator StreamQueue::FindWaiting(
    uint32_t index) {
  return std::find_if(
      waiting_.begin(), waiting_.end(),
      [index](const Preview& preview) { return preview.x0.index == index; });
}

void StreamQueue::DropEncoded(uint32_t index) {
  if (ahead_ != Ahead::kEncoded || encoded_.index() != index) return;
  ahead_ = Ahead::kNone;
  ++previews_dropped_;
}

}  // namespace ddgan

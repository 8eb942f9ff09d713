#include "server/models/watch_queue.h"

#include <utility>

namespace ddgan {

void WatchQueue::Update(const v1::ListModelsResponse& models) {
  now_.clear();
  to_tell_.clear();
  for (const v1::Model& model : models.models()) {
    now_[model.name()] = model;
    const auto told = told_.find(model.name());
    if (told == told_.end() || told->second != model.SerializeAsString()) {
      to_tell_.insert(model.name());
    }
  }
  for (const auto& [name, model] : told_) {
    if (!now_.contains(name)) to_tell_.insert(name);
  }
}

std::optional<v1::WatchModelsResponse> WatchQueue::Next() {
  if (to_tell_.empty()) return std::nullopt;
  auto next = to_tell_.upper_bound(last_);
  if (next == to_tell_.end()) next = to_tell_.begin();
  last_ = std::move(to_tell_.extract(next).value());
  v1::WatchModelsResponse event;
  if (const auto model = now_.find(last_); model != now_.end()) {
    told_[last_] = model->second.SerializeAsString();
    *event.mutable_model() = model->second;
  } else {
    told_.erase(last_);
    event.set_removed_model(last_);
  }
  return event;
}

}  // namespace ddgan

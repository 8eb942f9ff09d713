// Where a lane keeps each image in flight.
#ifndef DDGAN_ENGINE_LANES_TRAJECTORY_MAP_H_
#define DDGAN_ENGINE_LANES_TRAJECTORY_MAP_H_

#include <cstddef>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/lanes/batch_runner.h"
#include "engine/lanes/step_backend.h"

namespace ddgan {

// Slots by trajectory. The entries of those that left are used again, so that
// a lane which is warm allocates none; and, unlike Abseil's tables, this one
// survives a lack of memory. Thread-compatible.
class TrajectoryMap {
 public:
  // Null if there is none.
  ImageSlot* Find(TrajectoryId id) {
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second;
  }

  // Adds kNoSlot unless the trajectory is there. Throws std::bad_alloc and has
  // changed nothing then.
  void Add(TrajectoryId id) {
    if (entries_.count(id) > 0) return;
    // Room for every entry that can leave, so that Remove needs no memory.
    const size_t entries = entries_.size() + spare_.size() + 1;
    if (spare_.capacity() < entries) spare_.reserve(2 * entries);
    if (spare_.empty()) {
      entries_.try_emplace(id, kNoSlot);
      return;
    }
    auto entry = std::move(spare_.back());
    spare_.pop_back();
    entry.key() = id;
    entry.mapped() = kNoSlot;
    entries_.insert(std::move(entry));
  }

  // Unknown ids are ignored.
  void Remove(TrajectoryId id) noexcept {
    auto entry = entries_.extract(id);
    if (!entry.empty()) spare_.push_back(std::move(entry));
  }

  size_t size() const { return entries_.size(); }

 private:
  using Entries = std::unordered_map<TrajectoryId, ImageSlot>;

  Entries entries_;
  std::vector<Entries::node_type> spare_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_TRAJECTORY_MAP_H_

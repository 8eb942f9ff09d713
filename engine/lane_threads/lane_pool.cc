#include "engine/lane_threads/lane_pool.h"

#include <cstddef>
#include <utility>

namespace ddgan {

LanePool::LanePool(std::vector<LaneOptions> lanes, Probe probe,
                   BatchScheduler* scheduler, EngineObserver* observer,
                   Clock* clock)
    : scheduler_(scheduler) {
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    lanes_.push_back(std::make_shared<LaneWorker>(
        lane, std::move(lanes[lane]), probe, scheduler, observer, clock));
    threads_.emplace_back([worker = lanes_.back()] { worker->Work(); });
  }
}

LanePool::~LanePool() {
  scheduler_->Stop();
  for (size_t lane = 0; lane < lanes_.size(); ++lane) {
    if (lanes_[lane]->AwaitEnd()) {
      threads_[lane].join();
    } else {
      threads_[lane].detach();
    }
  }
}

absl::Status LanePool::AwaitRunners() {
  absl::Status status;
  for (const auto& lane : lanes_) status.Update(lane->AwaitCreated());
  return status;
}

absl::Status LanePool::RunOnEveryLane(const SlicedTask& task) {
  std::vector<std::shared_ptr<LaneWorker::Errand>> errands;
  for (const auto& lane : lanes_) {
    auto errand = std::make_shared<LaneWorker::Errand>(task);
    if (lane->AddErrand(errand)) errands.push_back(std::move(errand));
  }
  if (errands.empty()) return absl::UnavailableError("every lane is out");
  absl::Status status;
  for (const auto& errand : errands) {
    errand->done.WaitForNotification();
    status.Update(std::move(errand->result));
  }
  return status;
}

void LanePool::EndTasks() {
  for (const auto& lane : lanes_) lane->EndErrands();
}

}  // namespace ddgan

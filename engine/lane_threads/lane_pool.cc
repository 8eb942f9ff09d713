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
  std::vector<std::shared_ptr<LaneWorker::LaneTask>> tasks;
  for (const auto& lane : lanes_) {
    auto of_lane = std::make_shared<LaneWorker::LaneTask>(task);
    if (lane->AddTask(of_lane)) tasks.push_back(std::move(of_lane));
  }
  if (tasks.empty()) return absl::UnavailableError("every lane is out");
  absl::Status status;
  for (const auto& of_lane : tasks) {
    of_lane->done.WaitForNotification();
    status.Update(std::move(of_lane->result));
  }
  return status;
}

void LanePool::EndTasks() {
  for (const auto& lane : lanes_) lane->EndTasks();
}

}  // namespace ddgan

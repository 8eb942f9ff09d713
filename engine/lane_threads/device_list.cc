#include "engine/lane_threads/device_list.h"

#include <algorithm>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ddgan {
namespace {

constexpr int kMaxCpuLanes = 64;

absl::Status Malformed(absl::string_view devices, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "devices is \"", devices, "\": ", why,
      "; allowed are \"auto\", \"cpu\", \"cpu:N\" with N from 1 to ",
      kMaxCpuLanes, ", or a list of \"cuda:N\""));
}

std::vector<LaneDevice> CpuLanes(int count, int threads) {
  std::vector<LaneDevice> lanes;
  for (int i = 0; i < count; ++i) {
    LaneDevice lane;
    lane.name = count == 1 ? "cpu" : absl::StrCat("cpu:", i);
    lane.device = "cpu";
    lane.cpu_threads =
        std::max(threads / count + (i < threads % count ? 1 : 0), 1);
    lanes.push_back(lane);
  }
  return lanes;
}

std::string CudaName(int index) { return absl::StrCat("cuda:", index); }

LaneDevice CudaLane(int index) {
  LaneDevice lane;
  lane.name = lane.device = CudaName(index);
  return lane;
}

}  // namespace

absl::StatusOr<std::vector<LaneDevice>> ParseDevices(absl::string_view devices,
                                                     int cpu_threads,
                                                     int num_cuda_devices) {
  std::vector<LaneDevice> lanes;
  if (devices == "auto" && num_cuda_devices > 0) {
    for (int i = 0; i < num_cuda_devices; ++i) {
      lanes.push_back(CudaLane(i));
    }
    return lanes;
  }
  if (devices == "auto" || devices == "cpu") return CpuLanes(1, cpu_threads);

  int index = 0;
  std::set<int> seen;
  for (absl::string_view item : absl::StrSplit(devices, ',')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(item, absl::MaxSplits(':', 1));
    const bool number = !parts.second.empty() && parts.second[0] != '-' &&
                        parts.second[0] != '+' &&
                        absl::SimpleAtoi(parts.second, &index);
    if (parts.first == "cpu" && number && item == devices) {
      if (index < 1 || index > kMaxCpuLanes) {
        return Malformed(devices, "that is no number of CPU lanes");
      }
      return CpuLanes(index, cpu_threads);
    }
    if (parts.first != "cuda" || !number) {
      return Malformed(devices, absl::StrCat("'", item, "' is no device"));
    }
    if (index >= num_cuda_devices) {
      return Malformed(devices,
                       absl::StrCat("there is no ", CudaName(index),
                                    ", CUDA devices here: ", num_cuda_devices));
    }
    if (!seen.insert(index).second) {
      return Malformed(devices, absl::StrCat(CudaName(index), " stands twice"));
    }
    lanes.push_back(CudaLane(index));
  }
  return lanes;
}

absl::Status BindThreads(const std::vector<int>& cpus,
                         std::vector<LaneDevice>* lanes) {
  size_t threads = 0;
  for (const LaneDevice& lane : *lanes) {
    threads += static_cast<size_t>(lane.cpu_threads);
  }
  if (threads > cpus.size()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cpu_affinity asks for a CPU for each of the ", threads,
        " CPU threads; the process may use ", cpus.size(), " CPUs"));
  }
  auto next = cpus.begin();
  for (LaneDevice& lane : *lanes) {
    lane.cpus.assign(next, next + lane.cpu_threads);
    next += lane.cpu_threads;
  }
  return absl::OkStatus();
}

}  // namespace ddgan

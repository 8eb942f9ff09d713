// Which lanes a server has, from one line of text.
#ifndef DDGAN_ENGINE_LANE_THREADS_DEVICE_LIST_H_
#define DDGAN_ENGINE_LANE_THREADS_DEVICE_LIST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// A lane before it exists.
struct LaneDevice {
  std::string name;    // In metrics and logs; unique: "cpu", "cpu:1", "cuda:0".
  std::string device;  // For LibTorch: "cpu" or "cuda:N".
  int cpu_threads = 0;  // Of a CPU lane; at least 1.
  // The CPU that each of its threads stays on; empty: none is bound to any.
  std::vector<int> cpus;
};

// `devices` is "auto" (every CUDA device that is there, else one CPU lane),
// "cpu" (one lane), "cpu:N" (N lanes that split `cpu_threads` evenly, the first
// ones taking what is left over), or a list such as "cuda:0,cuda:1", each at
// most once. `cpu_threads` >= 1; `num_cuda_devices` are there.
// InvalidArgument that says what is wrong and what is allowed.
absl::StatusOr<std::vector<LaneDevice>> ParseDevices(absl::string_view devices,
                                                     int cpu_threads,
                                                     int num_cuda_devices);

// Gives each thread of the CPU lanes a CPU of its own, in order.
// FailedPrecondition if `cpus` are fewer than the threads.
absl::Status BindThreads(const std::vector<int>& cpus,
                         std::vector<LaneDevice>* lanes);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANE_THREADS_DEVICE_LIST_H_

#include "engine/base/host_cpus.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <thread>

#include "engine/base/control_group.h"

namespace ddgan {
namespace {

// A positive number that the text begins with.
std::optional<int64_t> ParseMicroseconds(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value <= 0) return std::nullopt;
  if (end != text.data() + text.size() && *end != '\n' && *end != ' ') {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::optional<int> ParseCpuQuota(std::string_view quota,
                                 std::string_view period) {
  const std::optional<int64_t> numerator = ParseMicroseconds(quota);
  const std::optional<int64_t> denominator = ParseMicroseconds(period);
  if (!numerator || !denominator) return std::nullopt;
  const int64_t cpus = (*numerator - 1) / *denominator + 1;
  return static_cast<int>(std::min<int64_t>(cpus, 1 << 20));
}

std::optional<int> ParseCpuQuota(std::string_view cpu_max) {
  const size_t space = cpu_max.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  return ParseCpuQuota(cpu_max.substr(0, space), cpu_max.substr(space + 1));
}

std::vector<int> AllowedCpus() {
  // The system refuses a set that is smaller than its own.
  for (int cpus = CPU_SETSIZE; cpus <= 64 * CPU_SETSIZE; cpus *= 2) {
    cpu_set_t* const set = CPU_ALLOC(static_cast<size_t>(cpus));
    if (set == nullptr) return {};
    const size_t size = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    CPU_ZERO_S(size, set);
    std::vector<int> allowed;
    if (sched_getaffinity(0, size, set) == 0) {
      for (int cpu = 0; cpu < cpus; ++cpu) {
        if (CPU_ISSET_S(static_cast<size_t>(cpu), size, set)) {
          allowed.push_back(cpu);
        }
      }
    }
    CPU_FREE(set);
    if (!allowed.empty()) return allowed;
  }
  return {};
}

int UsableCpus() {
  int cpus = static_cast<int>(AllowedCpus().size());
  if (cpus == 0) cpus = static_cast<int>(std::thread::hardware_concurrency());
  cpus = std::max(cpus, 1);
  for (const std::string& text : ReadControlGroups("cpu.max")) {
    cpus = std::min(cpus, ParseCpuQuota(text).value_or(cpus));
  }
  // Version 1, in a container.
  const std::optional<int> quota =
      ParseCpuQuota(ControlFileText("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
                    ControlFileText("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  return std::min(cpus, quota.value_or(cpus));
}

}  // namespace ddgan

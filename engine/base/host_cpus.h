// Which CPUs this process may use, and how many of them at once.
#ifndef DDGAN_ENGINE_BASE_HOST_CPUS_H_
#define DDGAN_ENGINE_BASE_HOST_CPUS_H_

#include <optional>
#include <string_view>
#include <vector>

namespace ddgan {

// The CPUs that the calling thread may run on, by number, in order. Empty if
// the system does not say.
std::vector<int> AllowedCpus();

// As many threads as are worth running: the allowed CPUs, or the quota of the
// process's control group (version 2 or 1) where that is less, as in a
// container. >= 1
int UsableCpus();

// CPUs that a quota lets run all the time, rounded up, >= 1; nothing where the
// text states no limit or is none of the format. Version 2: the text of
// cpu.max, "QUOTA PERIOD" or "max PERIOD". Version 1: those of
// cpu.cfs_quota_us, negative for no limit, and cpu.cfs_period_us.
std::optional<int> ParseCpuQuota(std::string_view cpu_max);
std::optional<int> ParseCpuQuota(std::string_view quota,
                                 std::string_view period);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_HOST_CPUS_H_

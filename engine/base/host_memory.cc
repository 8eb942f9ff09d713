#include "engine/base/host_memory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "engine/base/control_group.h"

namespace ddgan {

std::optional<int64_t> ParseMemoryLimit(std::string_view text) {
  int64_t bytes = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error != std::errc() || bytes <= 0) return std::nullopt;
  return bytes;
}

int64_t UsableHostMemory() {
  const int64_t machine =
      int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  int64_t usable = machine;
  for (const std::string& text : ReadControlGroups("memory.max")) {
    usable = std::min(usable, ParseMemoryLimit(text).value_or(machine));
  }
  // Version 1, in a container.
  const std::string text =
      ControlFileText("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  return std::min(usable, ParseMemoryLimit(text).value_or(machine));
}

}  // namespace ddgan

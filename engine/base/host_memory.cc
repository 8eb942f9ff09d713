#include "engine/base/host_memory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <string>

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
  // In a container the process's own group is the root of what it sees.
  std::ifstream file("/sys/fs/cgroup/memory.max");
  const std::string text((std::istreambuf_iterator<char>(file)),
                         std::istreambuf_iterator<char>());
  return std::min(machine, ParseMemoryLimit(text).value_or(machine));
}

}  // namespace ddgan

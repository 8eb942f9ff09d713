// How much memory this process may use.
#ifndef DDGAN_ENGINE_BASE_HOST_MEMORY_H_
#define DDGAN_ENGINE_BASE_HOST_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace ddgan {

// Bytes: the machine's memory, or the limit of the process's control group, or
// of one around it, where that is less (control_group.h).
int64_t UsableHostMemory();

// The limit that the text of a memory.max file states; nothing for "max" or
// what is no number.
std::optional<int64_t> ParseMemoryLimit(std::string_view text);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_HOST_MEMORY_H_

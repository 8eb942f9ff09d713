// Random bits from the operating system.
#ifndef DDGAN_ENGINE_BASE_ENTROPY_H_
#define DDGAN_ENGINE_BASE_ENTROPY_H_

#include <cstdint>

namespace ddgan {

// 64 bits from the operating system's entropy source: two servers, or one that
// was restarted, must not draw alike. Needs no file descriptor, of which a busy
// server may have none left. Thread-safe.
uint64_t DrawEntropy();

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_ENTROPY_H_

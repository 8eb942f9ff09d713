#include "engine/base/entropy.h"

#include <unistd.h>

#include <cstdlib>

namespace ddgan {

uint64_t DrawEntropy() {
  uint64_t bits;
  if (getentropy(&bits, sizeof(bits)) != 0) std::abort();  // Before Linux 3.17.
  return bits;
}

}  // namespace ddgan

#include "trainer/step/cpu_settings.h"

#include <malloc.h>
#include <xmmintrin.h>

namespace ddgan {

void SetUpCpuForTraining() {
  // Freed buffers of a step stay with the process for the next one, instead of
  // going back to the kernel and being zeroed page by page again.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  // Gradients that sink below 1e-38 count as zero: denormal arithmetic is some
  // tens of times slower.
  _mm_setcsr(_mm_getcsr() | 0x8040);
}

}  // namespace ddgan

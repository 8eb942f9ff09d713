#include "trainer/step/normal_rows.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include "engine/diffusion/philox.h"
#include "engine/kernels/normal_noise.h"
#include "trainer/step/normal_rows_gpu.h"

namespace ddgan {

void FillNormalRows(const NormalRows& fill, c10::DeviceType device) {
  if (device == c10::DeviceType::CUDA) return FillNormalRowsGpu(fill);
  TORCH_CHECK(device == c10::DeviceType::CPU, "no normal noise on ", device);
  at::parallel_for(0, fill.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      kernels::FillNormal({fill.seed, static_cast<uint32_t>(fill.row_index[r]),
                           fill.step, static_cast<NoiseStream>(fill.stream)},
                          fill.numel, fill.out + r * fill.numel);
    }
  });
}

}  // namespace ddgan

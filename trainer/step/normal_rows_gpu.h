// The part of normal_rows.h that nvcc compiles.
#ifndef DDGAN_TRAINER_STEP_NORMAL_ROWS_GPU_H_
#define DDGAN_TRAINER_STEP_NORMAL_ROWS_GPU_H_

#include "trainer/step/normal_rows.h"

namespace ddgan {

// On the current GPU and stream. Throws c10::Error where the build has no CUDA
// or the launch fails.
void FillNormalRowsGpu(const NormalRows& fill);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_NORMAL_ROWS_GPU_H_

// What training changes of a process's memory and arithmetic. No LibTorch.
#ifndef DDGAN_TRAINER_STEP_CPU_SETTINGS_H_
#define DDGAN_TRAINER_STEP_CPU_SETTINGS_H_

namespace ddgan {

// For the whole process: freed buffers of a step stay for the next one, and
// denormal numbers count as zero. To be called in main before the first thread
// starts, since threads inherit the latter.
void SetUpCpuForTraining();

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_CPU_SETTINGS_H_

// Which GPUs there are, for who must not see LibTorch. cuda_devices.cc
// implements it, or no_cuda_devices.cc in a build without CUDA.
#ifndef DDGAN_ENGINE_BASE_CUDA_DEVICES_H_
#define DDGAN_ENGINE_BASE_CUDA_DEVICES_H_

#include <string>

namespace ddgan {

// GPUs that this process can use: devices cuda:0 to cuda:N-1. 0 in a build
// without CUDA, and where the driver is missing or fails. Thread-safe.
int CudaDeviceCount();

// What the driver calls GPU `index`, e.g. "NVIDIA A100-SXM4-40GB"; empty if
// there is none. Thread-safe.
std::string CudaDeviceName(int index);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_CUDA_DEVICES_H_

#include "engine/base/cuda_devices.h"

#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>

namespace ddgan {

int CudaDeviceCount() { return c10::cuda::device_count(); }

std::string CudaDeviceName(int index) {
  cudaDeviceProp properties;
  if (index < 0 || index >= CudaDeviceCount() ||
      cudaGetDeviceProperties(&properties, index) != cudaSuccess) {
    return "";
  }
  return properties.name;
}

}  // namespace ddgan

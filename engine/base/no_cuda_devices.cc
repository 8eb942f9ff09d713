#include "engine/base/cuda_devices.h"

namespace ddgan {

int CudaDeviceCount() { return 0; }

std::string CudaDeviceName(int) { return ""; }

}  // namespace ddgan

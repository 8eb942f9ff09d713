// Marks functions that are compiled for the CPU and for the GPU.
#ifndef DDGAN_ENGINE_BASE_HOST_DEVICE_H_
#define DDGAN_ENGINE_BASE_HOST_DEVICE_H_

#ifdef __CUDACC__
#define DDGAN_HOST_DEVICE __host__ __device__
#else
#define DDGAN_HOST_DEVICE
#endif

#endif  // DDGAN_ENGINE_BASE_HOST_DEVICE_H_

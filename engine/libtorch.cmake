# Finds the LibTorch that docker/install_dependencies.sh unpacked and defines
# ddgan::torch. TorchConfig.cmake is not used: that of this wheel asks for the
# CUDA toolkit even to link the CPU libraries alone.

set(DDGAN_TORCH_VERSION 2.11.0)
if(DDGAN_ENABLE_CUDA)
  set(_flavour cuda)
else()
  set(_flavour cpu)
endif()
# Where docker/install_dependencies.sh puts things.
if(DEFINED ENV{DDGAN_DEPS})
  set(DDGAN_DEPS_ROOT $ENV{DDGAN_DEPS})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(DDGAN_DEPS_ROOT $ENV{XDG_CACHE_HOME}/ddgan)
else()
  set(DDGAN_DEPS_ROOT $ENV{HOME}/.cache/ddgan)
endif()
set(DDGAN_TORCH_ROOT ${DDGAN_DEPS_ROOT}/libtorch-${DDGAN_TORCH_VERSION}-${_flavour}/torch
    CACHE PATH "The wheel's torch folder, with include/ and lib/")

# A cache made by one flavour must not silently serve the other.
if(NOT EXISTS ${DDGAN_TORCH_ROOT}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch ${DDGAN_TORCH_VERSION} (${_flavour}) is not in ${DDGAN_TORCH_ROOT}: "
                      "run docker/install_dependencies.sh, or set DDGAN_DEPS to where it was installed")
endif()

add_library(ddgan_torch INTERFACE)
add_library(ddgan::torch ALIAS ddgan_torch)
target_include_directories(ddgan_torch SYSTEM INTERFACE
  ${DDGAN_TORCH_ROOT}/include ${DDGAN_TORCH_ROOT}/include/torch/csrc/api/include)
# libtorch_cpu.so brings OpenMP itself (its own libgomp).
target_link_libraries(ddgan_torch INTERFACE
  ${DDGAN_TORCH_ROOT}/lib/libtorch_cpu.so ${DDGAN_TORCH_ROOT}/lib/libc10.so)
# The wheel's libraries find each other by their own RUNPATH; the linker needs to be told.
target_link_options(ddgan_torch INTERFACE -Wl,--allow-shlib-undefined)

if(DDGAN_ENABLE_CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90)
  endif()
  enable_language(CUDA)
  find_package(CUDAToolkit 13.0 REQUIRED)
  target_compile_definitions(ddgan_torch INTERFACE DDGAN_ENABLE_CUDA=1)
  # --no-as-needed: CUDA kernels register themselves, nothing refers to them by name.
  target_link_libraries(ddgan_torch INTERFACE
    -Wl,--no-as-needed ${DDGAN_TORCH_ROOT}/lib/libtorch_cuda.so -Wl,--as-needed
    ${DDGAN_TORCH_ROOT}/lib/libc10_cuda.so CUDA::cudart)

  # That which LibTorch itself loads.
  set(_cudnn ${DDGAN_TORCH_ROOT}/../nvidia/cudnn)
  add_library(ddgan_cudnn INTERFACE)
  add_library(ddgan::cudnn ALIAS ddgan_cudnn)
  target_include_directories(ddgan_cudnn SYSTEM INTERFACE ${_cudnn}/include)
  target_link_libraries(ddgan_cudnn INTERFACE ${_cudnn}/lib/libcudnn.so.9)
endif()

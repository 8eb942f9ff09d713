# What `cmake --install --component server` and `--component trainer` put into
# the images (docker/build_programs.sh): programs, the libraries of LibTorch's
# wheels that they load, and the licences of those. Debian's libraries are not
# among them: they come as packages.

set(_wheels ${DDGAN_TORCH_ROOT}/..)

# ddgan_install_programs(COMPONENT target...)
function(ddgan_install_programs component)
  # All libraries lie in one folder and find each other there: the wheels' own
  # RPATHs have $ORIGIN in them.
  set_target_properties(${ARGN} PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/ddgan")
  install(TARGETS ${ARGN} RUNTIME_DEPENDENCY_SET ddgan_${component}_libraries
    RUNTIME DESTINATION bin COMPONENT ${component})
  # libcuda.so comes with the driver, from the machine that the image runs on.
  install(RUNTIME_DEPENDENCY_SET ddgan_${component}_libraries
    PRE_EXCLUDE_REGEXES "^libcuda\\.so"
    POST_INCLUDE_REGEXES "/(torch|nvidia/[^/]+)/lib/[^/]+$"
    POST_EXCLUDE_REGEXES ".*"
    LIBRARY DESTINATION lib/ddgan COMPONENT ${component})
  if(DDGAN_ENABLE_CUDA)
    # What these libraries open by name while they run. Not for linear algebra
    # (libtorch_cuda_linalg.so and libcusolver.so): nothing here solves systems.
    file(GLOB opened
      ${DDGAN_TORCH_ROOT}/lib/libcaffe2_nvrtc.so
      ${_wheels}/nvidia/*/lib/libcudnn_*.so.*
      ${_wheels}/nvidia/*/lib/libnvrtc*.so.*)
    install(FILES ${opened} DESTINATION lib/ddgan COMPONENT ${component})
  endif()
  file(GLOB wheels ${_wheels}/torch-*.dist-info ${_wheels}/nvidia_*.dist-info)
  foreach(wheel IN LISTS wheels)
    cmake_path(GET wheel FILENAME name)
    install(DIRECTORY ${wheel}/licenses OPTIONAL
      DESTINATION share/doc/ddgan/wheels/${name} COMPONENT ${component})
    install(FILES ${wheel}/METADATA
      DESTINATION share/doc/ddgan/wheels/${name} COMPONENT ${component})
  endforeach()
endfunction()

ddgan_install_programs(server ddgan-server ddgan)
ddgan_install_programs(trainer ddgan-train ddgan-evaluate ddgan-import)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/deploy/models DESTINATION share/ddgan COMPONENT server
  FILES_MATCHING PATTERN "*.json" PATTERN "*.safetensors")

# Debian packages by CPack, from components of their own:
#
#   ddgan                the client program
#   ddgan-server         the server, its systemd unit and the bundled models
#   ddgan-trainer        ddgan-train, ddgan-evaluate and ddgan-import
#   ddgan-libtorch       LibTorch, which Debian has only in another version, in
#                        a folder of its own; server and trainer load it
#   libddgan-client-dev  the client's C++ library (client/install_library.cmake)
#
# deploy/debian/build_packages.sh makes them. Debian's own libraries are not in
# them: dpkg-shlibdeps finds out which packages bring them.
set(_debian ${CMAKE_CURRENT_LIST_DIR})
set(_wheels ${DDGAN_TORCH_ROOT}/..)
set(_private_libraries lib/ddgan)

# ddgan_package_program(COMPONENT target [LOADS_LIBTORCH])
function(ddgan_package_program component target)
  cmake_parse_arguments(arg LOADS_LIBTORCH "" "" ${ARGN})
  if(arg_LOADS_LIBTORCH)
    set(dependencies RUNTIME_DEPENDENCY_SET ddgan_packaged_libraries)
  endif()
  install(TARGETS ${target} ${dependencies} RUNTIME DESTINATION bin COMPONENT ${component})
  install(CODE "set(PROGRAM \"$<TARGET_FILE:${target}>\")
set(NAME ${target})
set(OUT \"${PROJECT_BINARY_DIR}/help\")" COMPONENT ${component})
  install(SCRIPT ${_debian}/write_help.cmake COMPONENT ${component})
endfunction()

ddgan_package_program(package_client ddgan)
ddgan_package_program(package_server ddgan-server LOADS_LIBTORCH)
ddgan_package_program(package_trainer ddgan-train LOADS_LIBTORCH)
ddgan_package_program(package_trainer ddgan-evaluate LOADS_LIBTORCH)
ddgan_package_program(package_trainer ddgan-import)

# Of the package alone: an install into somebody's own folder leaves /etc alone.
install(FILES ${_debian}/ddgan-server.service DESTINATION lib/systemd/system
  COMPONENT package_server EXCLUDE_FROM_ALL)
install(FILES ${_debian}/ddgan-server.default DESTINATION /etc/default RENAME ddgan-server
  COMPONENT package_server EXCLUDE_FROM_ALL)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/deploy/models DESTINATION share/ddgan
  COMPONENT package_server FILES_MATCHING PATTERN "*.json" PATTERN "*.safetensors")

install(RUNTIME_DEPENDENCY_SET ddgan_packaged_libraries
  POST_INCLUDE_REGEXES "/(torch|nvidia/[^/]+)/lib/[^/]+$"
  POST_EXCLUDE_REGEXES ".*"
  LIBRARY DESTINATION ${_private_libraries} COMPONENT package_libtorch)
# A fifth of LibTorch's largest library is symbols that nothing resolves against.
install(CODE "execute_process(COMMAND strip --strip-unneeded libtorch_cpu.so libc10.so
  WORKING_DIRECTORY \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${_private_libraries}\"
  COMMAND_ERROR_IS_FATAL ANY)" COMPONENT package_libtorch)
file(GLOB _licences ${_wheels}/torch-*.dist-info ${_wheels}/nvidia_*.dist-info)
foreach(wheel IN LISTS _licences)
  cmake_path(GET wheel FILENAME name)
  install(DIRECTORY ${wheel}/licenses OPTIONAL
    DESTINATION share/doc/ddgan-libtorch/${name} COMPONENT package_libtorch)
  install(FILES ${wheel}/METADATA
    DESTINATION share/doc/ddgan-libtorch/${name} COMPONENT package_libtorch)
endforeach()

# cpack would otherwise build all tests first.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ddgan)
set(CPACK_PACKAGE_CONTACT "ddgan-serve <ddgan@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Image generation by denoising diffusion GANs")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL package_client package_server package_trainer package_libtorch development)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# LibTorch's half gigabyte takes seconds instead of minutes, and dpkg of Debian
# 12 reads it.
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
file(GLOB CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${DDGAN_TORCH_ROOT}/lib ${_wheels}/nvidia/*/lib)

# ddgan_describe_package(COMPONENT name section summary [dependencies])
macro(ddgan_describe_package component name section summary dependencies)
  string(TOUPPER ${component} _component)
  set(CPACK_DEBIAN_${_component}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${_component}_PACKAGE_SECTION ${section})
  set(CPACK_COMPONENT_${_component}_DESCRIPTION "${summary}")
  set(CPACK_DEBIAN_${_component}_PACKAGE_DEPENDS "${dependencies}")
endmacro()
set(_libtorch "ddgan-libtorch (= ${PROJECT_VERSION})")
ddgan_describe_package(package_client ddgan graphics
  "Client of ddgan-server: images, models, health, a page to draw in" "")
ddgan_describe_package(package_server ddgan-server graphics
  "Image generation service for denoising diffusion GANs" "${_libtorch}")
ddgan_describe_package(package_trainer ddgan-trainer science
  "Trainer, evaluation and import of models for ddgan-server" "${_libtorch}")
ddgan_describe_package(package_libtorch ddgan-libtorch libs
  "LibTorch ${DDGAN_TORCH_VERSION} for CPUs, private to ddgan-server and ddgan-trainer" "")
ddgan_describe_package(development libddgan-client-dev libdevel
  "C++ library of ddgan-server's client"
  "libgrpc++-dev (>= 1.51), protobuf-compiler-grpc (>= 1.51), libprotobuf-dev (>= 3.21), libabsl-dev (>= 20220623)")
set(CPACK_DEBIAN_PACKAGE_SERVER_PACKAGE_RECOMMENDS "ddgan (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_PACKAGE_SERVER_PACKAGE_CONTROL_EXTRA
  "${_debian}/conffiles;${_debian}/postinst;${_debian}/prerm;${_debian}/postrm")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
include(CPack)

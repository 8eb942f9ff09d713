# What `cmake --install --component development` puts below the prefix: the
# library ddgan::client with its headers, and the files by which
# find_package(ddgan) finds it. client/README.md is the user's page.
include(CMakePackageConfigHelpers)

# Headers keep the names by which they are included: "client/image_client.h",
# "ddgan/v1/model.pb.h".
set(_headers include/ddgan)
set_target_properties(ddgan_client PROPERTIES EXPORT_NAME client)
set_target_properties(ddgan_proto PROPERTIES EXPORT_NAME proto)
set_target_properties(ddgan_health_proto PROPERTIES EXPORT_NAME health_proto)
install(TARGETS ddgan_client ddgan_proto ddgan_health_proto EXPORT ddgan
  ARCHIVE DESTINATION lib COMPONENT development
  INCLUDES DESTINATION ${_headers})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/client DESTINATION ${_headers} COMPONENT development
  FILES_MATCHING PATTERN "*.h"
  # Of the program, not of the library.
  PATTERN command_line EXCLUDE PATTERN load_generator EXCLUDE PATTERN playground EXCLUDE
  PATTERN python EXCLUDE)
install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/ddgan_proto/ ${PROJECT_BINARY_DIR}/proto/ddgan_health_proto/
  DESTINATION ${_headers} COMPONENT development FILES_MATCHING PATTERN "*.h")

install(EXPORT ddgan NAMESPACE ddgan:: FILE ddganTargets.cmake
  DESTINATION lib/cmake/ddgan COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/ddganConfig.cmake.in
  ${PROJECT_BINARY_DIR}/ddganConfig.cmake INSTALL_DESTINATION lib/cmake/ddgan)
# Before 1.0 a minor version may change what the library's callers see.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ddganConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ddganConfig.cmake ${PROJECT_BINARY_DIR}/ddganConfigVersion.cmake
  DESTINATION lib/cmake/ddgan COMPONENT development)

# Installs the library of the build in BUILD below OUT/prefix, as a package has
# it, and builds the project beside this file against what lies there alone.
cmake_minimum_required(VERSION 3.25)
set(prefix ${OUT}/prefix)
file(REMOVE_RECURSE ${OUT})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}: exit code ${code}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --component development --prefix ${prefix})
# Nobody else has these folders.
file(GLOB_RECURSE texts ${prefix}/*.cmake ${prefix}/*.h)
foreach(text IN LISTS texts)
  file(STRINGS ${text} lines)
  string(FIND "${lines}" "${SOURCE}" source)
  string(FIND "${lines}" "${BUILD}" build)
  if(NOT source EQUAL -1 OR NOT build EQUAL -1)
    message(FATAL_ERROR "${text} names a folder of the build")
  endif()
endforeach()
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${OUT}/build -G Ninja
  -DCMAKE_PREFIX_PATH=${prefix} "-DCMAKE_CXX_FLAGS=-Wall -Werror")
run(${CMAKE_COMMAND} --build ${OUT}/build)

# Who may include whom, checked on every source file of engine, server, trainer
# and client, since one include root lets any file include any other. A room is
# a folder; it may include itself and the rooms that its line names, nothing
# else. Rooms stand in order: each names only rooms above its line, so includes
# cannot run in a circle.
# Run: cmake -DROOT=<repository> -P tests/include_direction.cmake
cmake_minimum_required(VERSION 3.25)
set(rooms "")
set(violations "")

# room(FOLDER [USES folder...])
function(room folder)
  cmake_parse_arguments(arg "" "" "USES" ${ARGN})
  foreach(used IN LISTS arg_USES)
    if(NOT used IN_LIST rooms)
      message(FATAL_ERROR "${folder} names ${used}, which has no line before it")
    endif()
  endforeach()
  file(GLOB files ${ROOT}/${folder}/*.h ${ROOT}/${folder}/*.cc ${ROOT}/${folder}/*.cu)
  if(NOT files)
    message(FATAL_ERROR "no source file in ${folder}: its line checks nothing")
  endif()
  foreach(file IN LISTS files)
    file(STRINGS ${file} includes REGEX "^[ \t]*#[ \t]*include \"(engine|server|trainer|client)/")
    foreach(line IN LISTS includes)
      string(REGEX REPLACE "^[^\"]*\"([^\"]*)/[^/\"]*\".*$" "\\1" included "${line}")
      if(NOT included STREQUAL folder AND NOT included IN_LIST arg_USES
         AND NOT line MATCHES "server/build_version.h")
        file(RELATIVE_PATH name ${ROOT} ${file})
        string(APPEND violations "  ${name}: ${line}  (${folder} may not include ${included})\n")
      endif()
    endforeach()
  endforeach()
  set(rooms ${rooms} ${folder} PARENT_SCOPE)
  set(violations "${violations}" PARENT_SCOPE)
endfunction()

# forbid(FOLDER REGEX WHY): no file below FOLDER includes what matches REGEX.
function(forbid folder regex why)
  file(GLOB_RECURSE files ${ROOT}/${folder}/*.h ${ROOT}/${folder}/*.cc ${ROOT}/${folder}/*.cu)
  if(NOT files)
    message(FATAL_ERROR "no source file in ${folder}: the rule checks nothing")
  endif()
  foreach(file IN LISTS files)
    file(STRINGS ${file} includes REGEX "^[ \t]*#[ \t]*include")
    foreach(line IN LISTS includes)
      if(line MATCHES "${regex}")
        file(RELATIVE_PATH name ${ROOT} ${file})
        string(APPEND violations "  ${name}: ${line}  (${why})\n")
      endif()
    endforeach()
  endforeach()
  set(violations "${violations}" PARENT_SCOPE)
endfunction()

room(engine/base)
room(engine/api USES engine/base)
room(engine/diffusion USES engine/base)
room(engine/imaging USES engine/api engine/base)
room(engine/kernels USES engine/diffusion)
room(engine/model USES engine/api engine/base engine/diffusion engine/kernels)
room(engine/checkpoint USES engine/api engine/base engine/model)
# The kinds of lane stand on the runner, which knows their steps by interface
# only: another kind of device is another room and changes nothing below it, and
# scheduling, which knows the runner, sees neither devices nor generators.
room(engine/lanes USES engine/api engine/base)
room(engine/lanes/cpu USES engine/api engine/base engine/diffusion engine/imaging engine/kernels engine/lanes
     engine/model)
room(engine/lanes/gpu USES engine/api engine/base engine/diffusion engine/imaging engine/lanes
     engine/model)
room(engine/requests USES engine/api engine/base engine/lanes)
room(engine/scheduling USES engine/api engine/base engine/lanes engine/requests)
room(engine/lane_threads USES engine/api engine/base engine/lanes engine/scheduling)
room(engine/versions USES engine/api engine/base engine/checkpoint engine/lane_threads
     engine/lanes engine/requests engine/scheduling)
room(engine USES engine/api engine/base engine/checkpoint engine/imaging engine/lanes
     engine/lanes/cpu engine/lanes/gpu engine/lane_threads engine/model engine/requests
     engine/scheduling engine/versions)

room(server/connections USES engine/base)
room(server/access USES engine/api engine/base server/connections)
room(server/calls USES engine/api engine/base engine/imaging server/access server/connections)
room(server/models USES engine/api engine/base server/access server/calls server/connections)
room(server/kserve USES engine/api server/calls)
room(server/telemetry USES engine/api engine/base server/access server/calls
     server/connections server/models)
room(server USES engine/api engine/base engine/imaging server/access server/calls
     server/connections server/kserve server/models server/telemetry)

room(trainer/options USES engine/api engine/base engine/checkpoint engine/model)
room(trainer/dataset/encoded USES engine/api engine/imaging)
room(trainer/dataset USES engine/api engine/base engine/diffusion engine/imaging engine/kernels
     trainer/dataset/encoded)
room(trainer/networks USES engine/base engine/model)
room(trainer/distributed USES engine/base trainer/networks)
room(trainer/step USES engine/api engine/base engine/diffusion engine/kernels engine/model trainer/distributed
     trainer/networks trainer/options)
room(client USES engine/base)

room(trainer/evaluation/metrics USES engine/base trainer/dataset)
room(trainer/evaluation USES engine/api engine/base engine/checkpoint engine/lanes
     engine/lanes/cpu engine/model trainer/dataset trainer/evaluation/metrics trainer/networks
     trainer/step)
room(trainer/evaluation/features USES engine/api engine/base engine/checkpoint trainer/evaluation
     trainer/evaluation/metrics)
room(trainer/pictures USES engine/api engine/base engine/imaging trainer/dataset
     trainer/evaluation trainer/networks trainer/step)
# Evaluation also measures what a running server makes, as any client: the
# client's library knows the protocol alone, so nothing of the server comes in.
room(trainer/evaluation/pictures USES client engine/api engine/base engine/checkpoint
     trainer/dataset trainer/dataset/encoded trainer/evaluation)
room(trainer/evaluation/session USES engine/api engine/base engine/checkpoint trainer/dataset
     trainer/evaluation trainer/evaluation/features trainer/evaluation/metrics
     trainer/evaluation/pictures)
room(trainer/evaluation/commands USES engine/api engine/base engine/checkpoint engine/diffusion
     engine/imaging engine/kernels engine/lanes engine/lanes/cpu engine/lanes/gpu engine/model
     trainer/dataset trainer/evaluation trainer/evaluation/features trainer/evaluation/metrics
     trainer/evaluation/pictures trainer/evaluation/session trainer/options trainer/pictures)
room(trainer/run USES engine/api engine/base engine/checkpoint engine/model trainer/distributed
     trainer/options trainer/step)
room(trainer/import USES engine/api engine/base engine/checkpoint engine/model trainer/run)
room(trainer USES engine/api engine/base trainer/dataset trainer/distributed trainer/networks
     trainer/options trainer/pictures trainer/run trainer/step)

room(client/load_generator USES client engine/base)
room(client/playground USES client engine/base)
room(client/command_line USES client client/load_generator client/playground engine/base)

# A folder with sources and without a line above would be checked by nothing.
file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/engine/*.cc ${ROOT}/engine/*.h
  ${ROOT}/server/*.cc ${ROOT}/server/*.h ${ROOT}/trainer/*.cc ${ROOT}/trainer/*.h
  ${ROOT}/client/*.cc ${ROOT}/client/*.h)
foreach(file IN LISTS files)
  get_filename_component(folder ${file} DIRECTORY)
  if(NOT folder IN_LIST rooms)
    string(APPEND violations "  ${file}: ${folder} has no line in tests/include_direction.cmake\n")
  endif()
endforeach()

forbid(engine "\"(proto|ddgan/v1)/|[<\"](grpc|grpcpp|google/protobuf|prometheus)/"
       "engine knows no gRPC, protobuf or Prometheus")
forbid(server "[<\"](ATen|torch|c10)/" "server sees no LibTorch")
forbid(client "[<\"](ATen|torch|c10)/" "a client depends on proto alone")
foreach(folder server/access server/calls server/connections server/kserve server/models)
  forbid(${folder} "[<\"]prometheus/" "metrics are telemetry's")
endforeach()
foreach(folder engine/requests engine/scheduling engine/lane_threads)
  forbid(${folder} "[<\"](ATen|torch|c10)/" "decisions need no LibTorch")
endforeach()
forbid(engine/api "[<\"](ATen|torch|c10)/" "no LibTorch in public headers")

# Headers that LibTorch-free code includes carry no LibTorch type.
foreach(header engine/lanes/batch_runner.h engine/lanes/lane_runner.h
        engine/lanes/step_backend.h engine/lanes/cpu/cpu_lane_runner.h
        engine/lanes/cpu/sampler.h engine/lanes/gpu/gpu_lane_runner.h
        engine/base/cuda_devices.h engine/checkpoint/checkpoint_format.h
        engine/checkpoint/model_loader.h)
  file(STRINGS ${ROOT}/${header} includes REGEX "#[ \t]*include[ \t]*[<\"](ATen|torch|c10)/")
  if(includes)
    string(APPEND violations "  ${header}: ${includes}  (no LibTorch in this header)\n")
  endif()
endforeach()

if(violations)
  message(FATAL_ERROR "includes that break the layout:\n${violations}")
endif()

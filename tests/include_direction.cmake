# Who may include whom (layout rules), checked on every source file, since one
# include root lets any file include any other.
# Run: cmake -DROOT=<repository> -P tests/include_direction.cmake
set(violations "")

# forbid(FOLDER REGEX WHY): no file in FOLDER includes what matches REGEX.
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

forbid(engine "\"(server|trainer|client|proto|ddgan/v1)/|[<\"](grpc|grpcpp|google/protobuf|prometheus)/"
       "engine knows no gRPC, protobuf, Prometheus, server, trainer or client")
forbid(server "\"(trainer|client)/|[<\"](ATen|torch|c10)/"
       "server meets the trainer on disk only, and sees no LibTorch")
forbid(trainer "\"(server|client|proto)/" "the trainer serves nobody")
forbid(client "\"(engine|server|trainer)/|[<\"](ATen|torch|c10)/"
       "a client depends on proto alone")

# Headers that server and tools include carry no LibTorch type.
foreach(header engine/engine.h engine/generation.h engine/engine_observer.h
        engine/batch_runner.h engine/image_batch_runner.h engine/sampler.h
        engine/tensor_batch_runner.h engine/cuda_devices.h engine/precision.h
        engine/checkpoint/checkpoint_format.h engine/checkpoint/model_loader.h)
  file(STRINGS ${ROOT}/${header} includes REGEX "#[ \t]*include[ \t]*[<\"](ATen|torch|c10)/")
  if(includes)
    string(APPEND violations "  ${header}: ${includes}  (no LibTorch in public headers)\n")
  endif()
endforeach()

if(violations)
  message(FATAL_ERROR "includes that break the layout:\n${violations}")
endif()

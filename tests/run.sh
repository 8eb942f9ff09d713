#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests.
#
# usage: tests/run.sh                     every test; then, under ASan and UBSan and
#                                         under TSan, the unit tests of what links no
#                                         LibTorch, and each fuzz target for 10 s
#        tests/run.sh CTEST_ARGUMENT...   those tests alone, e.g. -L unit
#        tests/run.sh --sanitizers [CTEST_ARGUMENT...]
#                                         all unit tests under ASan and UBSan, those
#                                         that link LibTorch as well, and under TSan
#                                         those that use gRPC; or those of them alone
#                                         that the arguments choose
set -euo pipefail
cd "$(dirname "$0")/.."

# build_and_test PRESET [CTEST_ARGUMENT...]
build_and_test() {
  local preset=$1
  shift
  cmake --preset "$preset" -DDDGAN_BUILD_TESTS=ON
  cmake --build --preset "$preset"
  # One more than there are cores: the longest tests wait more than they compute.
  ctest --preset "$preset" --no-tests=error -j "$(($(nproc) + 1))" "$@"
}

docker/install_dependencies.sh --tests --images --linters
if [ "${1:-}" = --sanitizers ]; then
  shift
  # What is chosen may be in one of the two alone.
  build_and_test tsan -L unit -L grpc ${1:+--no-tests=ignore} "$@"
  build_and_test asan -L unit ${1:+--no-tests=ignore} "$@"
  exit
fi
build_and_test release "$@"
if [ $# = 0 ]; then
  tests/thread_safety.py build/release
  build_and_test fuzz -L unit
  tests/fuzz/run.sh --each=10
  # TSan cannot see how gRPC hands a call from thread to thread. What it reports of
  # that is named in tests/tsan_grpc.cc, as far as it is known.
  build_and_test tsan -L unit -LE grpc
fi

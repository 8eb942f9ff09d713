#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. What links no LibTorch
# runs its unit tests under ASan and UBSan and under TSan, too, and each fuzz
# target runs for 10 seconds.
#
# usage: tests/run.sh [--sanitizers]
#        tests/run.sh CTEST_ARGUMENT...    e.g. tests/run.sh -L unit
#   --sanitizers       also what links LibTorch, under ASan and UBSan
#   CTEST_ARGUMENT...  these tests alone, without a sanitizer
set -euo pipefail
cd "$(dirname "$0")/.."

with_torch=false
if [ "${1:-}" = --sanitizers ]; then
  with_torch=true
  shift
fi

# sanitized_unit_tests PRESET [ctest argument...]
sanitized_unit_tests() {
  cmake --preset "$1"
  cmake --build --preset "$1"
  ctest --preset "$1" --no-tests=error -j "$(nproc)" -L unit "${@:2}"
}

docker/install_dependencies.sh --tests --images --linters
cmake --preset release
cmake --build --preset release
if [ $# != 0 ]; then
  exec ctest --preset release --no-tests=error -j "$(nproc)" "$@"
fi
ctest --preset release --no-tests=error -j "$(nproc)"
sanitized_unit_tests fuzz
tests/thread_safety.py build/release build/fuzz
tests/fuzz/run.sh --each=10
sanitized_unit_tests tsan
if $with_torch; then sanitized_unit_tests asan; fi

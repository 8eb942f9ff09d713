#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
#
# usage: tests/run.sh [CTEST_ARGUMENT...]   e.g. tests/run.sh -L unit
#        tests/run.sh --sanitizers
#   --sanitizers  the unit tests instead: of what links no LibTorch under ASan,
#                 UBSan and TSan, with 10 seconds of each fuzz target; then of
#                 everything under ASan and UBSan. Takes an hour and more.
set -euo pipefail
cd "$(dirname "$0")/.."

# sanitized_unit_tests PRESET
sanitized_unit_tests() {
  cmake --preset "$1"
  cmake --build --preset "$1"
  ctest --preset "$1" --no-tests=error -j "$(nproc)" -L unit
}

docker/install_dependencies.sh --tests --images --linters
if [ "${1:-}" = --sanitizers ]; then
  sanitized_unit_tests fuzz
  tests/fuzz/run.sh --each=10
  sanitized_unit_tests tsan
  sanitized_unit_tests asan
  exit
fi
cmake --preset release
cmake --build --preset release
tests/thread_safety.py build/release
ctest --preset release --no-tests=error -j "$(nproc)" "$@"

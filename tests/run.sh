#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
#
# usage: tests/run.sh [ctest arguments]     e.g. tests/run.sh -L unit
set -euo pipefail
cd "$(dirname "$0")/.."

docker/install_dependencies.sh --tests --images --linters
cmake --preset release
cmake --build --preset release
# -Wthread-safety proves that what a mutex guards is used under it.
cmake --preset thread-safety -DDDGAN_BUILD_TESTS=OFF
cmake --build --preset thread-safety
ctest --preset release --no-tests=error -j "$(nproc)" "$@"

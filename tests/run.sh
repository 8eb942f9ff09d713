#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
#
# usage: tests/run.sh [ctest arguments]     e.g. tests/run.sh -L unit
set -euo pipefail
cd "$(dirname "$0")/.."

docker/install_dependencies.sh --tests --images --linters
cmake --preset release
cmake --build --preset release
tests/thread_safety.py build/release
ctest --preset release --no-tests=error -j "$(nproc)" "$@"

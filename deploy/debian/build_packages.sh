#!/usr/bin/env bash
# Builds the Debian packages of this version, for Debian 12 on a CPU, into a
# folder: ddgan, ddgan-server, ddgan-trainer, ddgan-libtorch, libddgan-client-dev.
#
# usage: deploy/debian/build_packages.sh FOLDER [BUILD_FOLDER]
#   BUILD_FOLDER  of CMake; build/packages, which is made if it is missing
#
# Without traces: Debian 12 itself has no OpenTelemetry, only its backports do.
# Needs what docker/install_dependencies.sh installs.
set -euo pipefail

usage() { sed -n '5,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# = 1 ] || [ $# = 2 ] || usage
folder=$(realpath -m "$1")
build=${2:+$(realpath -m "$2")}
cd "$(dirname "$0")/../.."
build=${build:-build/packages}

cmake --preset release -B "$build" -DDDGAN_BUILD_TESTS=OFF -DDDGAN_WITH_TRACES=OFF
cmake --build "$build" --target \
  ddgan ddgan-server ddgan-train ddgan-evaluate ddgan-import ddgan_client
cpack --config "$build/CPackConfig.cmake" -B "$folder"
rm -r "$folder/_CPack_Packages"

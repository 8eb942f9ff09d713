#!/usr/bin/env bash
# Builds the programs of one image from the source tree around it, and lays them
# and what belongs to them out below a folder as the image has them.
#
# usage: docker/build_programs.sh server|trainer cpu|cuda FOLDER
#
# Needs what docker/install_dependencies.sh installs.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { echo 'usage: docker/build_programs.sh server|trainer cpu|cuda FOLDER' >&2; exit 2; }
[ $# = 3 ] || usage
part=$1 flavour=$2 folder=$3
# Debian packages of which only headers are used: the image has no trace of them.
case $part in
  server) programs=(ddgan-server ddgan) header_packages=(nlohmann-json3-dev libcli11-dev libboost1.74-dev) ;;
  trainer)
    programs=(ddgan-train ddgan-evaluate ddgan-import)
    header_packages=(nlohmann-json3-dev libcli11-dev libboost1.74-dev libgloo-dev)
    ;;
  *) usage ;;
esac
case $flavour in
  cpu) preset=release ;;
  cuda) preset=cuda ;;
  *) usage ;;
esac

cmake --preset "$preset" -DDDGAN_BUILD_TESTS=OFF
cmake --build --preset "$preset" --target "${programs[@]}"
DESTDIR=$folder cmake --install "build/$preset" --component "$part" --prefix /usr --strip
# A fifth of LibTorch's largest library is symbols that nothing resolves against.
strip --strip-unneeded "$folder"/usr/lib/ddgan/lib{torch,c10}*.so
# NVIDIA's libraries open each other by name.
mkdir -p "$folder/etc/ld.so.conf.d"
echo /usr/lib/ddgan >"$folder/etc/ld.so.conf.d/ddgan.conf"
dpkg-query -W -f='${Package} ${Version} ${Architecture}\n' "${header_packages[@]}" \
  >"$folder/usr/share/doc/ddgan/header_packages"

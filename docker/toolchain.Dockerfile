# Compiler and pinned dependencies, for developers, CI and the other images.
# Target `build` is what the programs are built with; tests/images builds it:
#
#   docker build -f docker/toolchain.Dockerfile --target build -t ddgan-toolchain:build .
#
# The default target also has what most tests use [untried: it was never built]; what those of deploy/
# and of the images need besides, tests/run.sh installs:
#
#   docker build -f docker/toolchain.Dockerfile -t ddgan-toolchain .
#   docker run --rm -it -v "$PWD:/src" ddgan-toolchain tests/run.sh -LE slow
#
# Build arguments:
#   FLAVOUR      cpu (default) or cuda: full LibTorch, and the CUDA compiler
#   BASE_IMAGE   a Debian 12; with a digest, builds begin from the same bytes
#   DDGAN_DEPS   where LibTorch lies
ARG BASE_IMAGE=docker.io/library/debian:12.12-slim

FROM ${BASE_IMAGE} AS build
ARG FLAVOUR=cpu
ARG DDGAN_DEPS=/opt/ddgan
ENV DDGAN_DEPS=${DDGAN_DEPS} LANG=C.UTF-8
COPY docker/install_dependencies.sh docker/libtorch_*.txt /src/docker/
WORKDIR /src
RUN docker/install_dependencies.sh "--${FLAVOUR}" \
    && rm -rf /var/lib/apt/lists/*

FROM build AS tests
COPY docker/convert_efficientnet.py /src/docker/
RUN docker/install_dependencies.sh "--${FLAVOUR}" --tests \
    && rm -rf /var/lib/apt/lists/*

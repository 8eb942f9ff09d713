# ddgan-train, ddgan-evaluate and ddgan-import, in a Debian without compiler and Python.
#
#   docker build -f docker/trainer.Dockerfile -t ddgan-trainer .
#   docker run --rm --read-only --cap-drop ALL -v models:/models \
#     ddgan-trainer --config=25_gaussians --out=/models
#
# /models is the model root to publish into; --entrypoint /usr/bin/ddgan-evaluate
# and /usr/bin/ddgan-import run the other two.
#
# Build arguments:
#   FLAVOUR           cpu (default) or cuda. The CUDA image needs NVIDIA's
#                     container runtime, which brings the driver's libcuda.so
#   BASE_IMAGE        a Debian 12; with a digest, builds begin from the same bytes
#   TOOLCHAIN_IMAGE   where the programs are built; an image of
#                     toolchain.Dockerfile saves installing the compiler
#   VERSION, REVISION for the labels: the project's version, the commit
#   DDGAN_DEPS        where LibTorch lies in the build
#   CCACHE_DIR        the compiler cache, if another is mounted into the build than its own
ARG BASE_IMAGE=docker.io/library/debian:12.12-slim
ARG TOOLCHAIN_IMAGE=docker.io/library/debian:12.12-slim

FROM ${TOOLCHAIN_IMAGE} AS build
ARG FLAVOUR=cpu
ARG DDGAN_DEPS=/opt/ddgan
ARG CCACHE_DIR=/var/cache/ccache
ARG CCACHE_MAXSIZE=5G
ENV LANG=C.UTF-8
WORKDIR /src
COPY docker/install_dependencies.sh docker/libtorch_*.txt docker/
RUN docker/install_dependencies.sh "--${FLAVOUR}"
COPY . .
RUN --mount=type=cache,target=/var/cache/ccache \
    docker/build_programs.sh trainer "${FLAVOUR}" /out

FROM ${BASE_IMAGE}
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ddgan-trainer" \
      org.opencontainers.image.description="Trainer, evaluation and import of models for ddgan-server" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
COPY --from=build /out/ /
# Nothing in here gains rights: no set-user-id program is left.
RUN --mount=type=bind,source=docker,target=/docker \
    /docker/install_dependencies.sh --runtime=trainer \
    && ldconfig \
    && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/* \
    && find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
    && groupadd --gid 10001 ddgan \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
         --shell /usr/sbin/nologin --no-log-init ddgan \
    && install -d -o 10001 -g 10001 /models /var/lib/ddgan \
    && /docker/sbom.sh ddgan-trainer "${VERSION}" >/usr/share/doc/ddgan/sbom.cdx.json
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/ddgan-train"]
CMD ["--help"]

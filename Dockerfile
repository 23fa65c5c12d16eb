# JobRunner: a whole Slurm cluster and an HTTP job service in one container, without privileges.
#
#   docker build -t jobrunner .
#   docker run --gpus all -p 8080:8080 -v jobrunner:/opt/jobrunner jobrunner
#
# TORCH=pip     PyTorch with CUDA from TORCH_INDEX, in the virtual environment /opt/torch
# TORCH=debian  Debian's python3-torch, for CPUs
# TORCH=none    no PyTorch
ARG NODE_IMAGE=docker.io/library/node:24-trixie-slim
ARG BASE_IMAGE=docker.io/library/debian:trixie-slim

FROM ${NODE_IMAGE} AS modules
WORKDIR /build
COPY docker/install-packages.sh docker/packages-build.txt docker/
RUN docker/install-packages.sh docker/packages-build.txt
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund --loglevel=error && JOBS=max npm run --silent rebuild

FROM modules AS build
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run --silent build && chmod +x dist/main.js

FROM modules AS runtime-modules
# better-sqlite3 needs its binary alone at run time.
RUN npm prune --omit=dev --no-audit --no-fund --loglevel=error \
  && cd node_modules/better-sqlite3 \
  && mv build/Release/better_sqlite3.node . && rm -rf build deps src \
  && mkdir -p build/Release && mv better_sqlite3.node build/Release/

FROM ${BASE_IMAGE}
ARG TORCH=pip
ARG TORCH_INDEX
WORKDIR /usr/lib/jobrunner
COPY docker/fix-ids.sh docker/
RUN docker/fix-ids.sh
# PyTorch before the rest: it is by far the largest layer and changes least.
COPY docker/install-packages.sh docker/install-torch.sh docker/
RUN docker/install-torch.sh && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY docker/packages.txt docker/packages-image.txt docker/
RUN docker/install-packages.sh docker/packages.txt docker/packages-image.txt \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb

COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=runtime-modules /build/node_modules node_modules
COPY docker docker
COPY libexec libexec
RUN docker/make-users.sh && ln -s /usr/lib/jobrunner/dist/main.js /usr/local/bin/jobrunner
COPY slurm slurm
COPY templates templates
COPY package.json ./
COPY --from=build /build/dist dist

# The NVIDIA container runtime reads these: with them --gpus all works on a base image without CUDA.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
EXPOSE 8080
VOLUME /opt/jobrunner
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["jobrunner", "health"]

ARG VERSION=dev
LABEL org.opencontainers.image.title="JobRunner" \
      org.opencontainers.image.description="A whole Slurm cluster and an HTTP job service on one GPU box" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"

# -s: tini reaps what is orphaned even where the host puts its own init before it.
ENTRYPOINT ["/usr/bin/tini", "-s", "--", "jobrunner"]
CMD ["stack"]

# rlmpc for those who do not install it: docs/docker.md. DEVICE is cuda or cpu.
ARG DEVICE=cuda

FROM python:3.12-slim-bookworm AS cuda
# What a container takes over from the machine's driver: computing, and drawing for videos.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics

FROM python:3.12-slim-bookworm AS cpu
# Of torch, the set-up below takes the smaller build without CUDA.
ENV UV_TORCH_BACKEND=cpu

FROM ${DEVICE}
# make sets up; the others draw videos without a display.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*

# Volumes belong to whom their folders belonged to before.
RUN useradd --create-home rlmpc \
    && install --directory --owner rlmpc --group rlmpc /home/rlmpc/rlmpc /home/rlmpc/rlmpc/logs /home/rlmpc/warp
USER rlmpc
WORKDIR /home/rlmpc/rlmpc
COPY --chown=rlmpc:rlmpc . .

# As in a fresh clone, where `make train` does this first.
RUN PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 make .venv/.ready
ENV PATH=/home/rlmpc/rlmpc/.venv/bin:$PATH

# The simulator's compiled kernels, and the runs.
ENV WARP_CACHE_PATH=/home/rlmpc/warp
VOLUME ["/home/rlmpc/warp", "/home/rlmpc/rlmpc/logs"]

CMD ["python", "train.py", "--help"]

# Container with mmreg itself, for any use; that of the challenges is Dockerfile.
#
#   docker build -f docker/general.Dockerfile -t mmreg .
#   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" mmreg register fixed.nii.gz moving.nii.gz -o out
#   docker run --rm -v "$PWD:/data" mmreg bids study derivatives participant
#
# Which build of torch: --build-arg TORCH_PIP_ARGS="--index-url INDEX", the index of the CPU build or of a CUDA version;
# without it pip takes its default, which brings CUDA packages of several gigabytes. EXTRAS: what of mmreg comes along.

FROM python:3.11-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY setup.py pyproject.toml README.md LICENSE NOTICE ./
COPY mmreg ./mmreg
COPY configs ./configs
RUN pip wheel --no-cache-dir --no-deps -w wheels .

FROM python:3.11-slim
ARG TORCH_PIP_ARGS=
ARG EXTRAS=all

WORKDIR /opt/mmreg
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 MPLBACKEND=Agg

# torch first: the largest layer, and it changes least.
COPY constraints.txt ./
RUN pip install -c constraints.txt ${TORCH_PIP_ARGS} torch

COPY --from=build /build/wheels ./wheels
# mmengine asks for opencv-python, which needs the libraries of a desktop; the headless build serves as well.
RUN pip install -c constraints.txt "$(ls wheels/*.whl)[${EXTRAS}]" \
    && pip uninstall --yes opencv-python \
    && pip install -c constraints.txt --no-deps --force-reinstall opencv-python-headless \
    && mmreg list losses --names

# Any user may run it; files are named as they are on the host, below the folder that is mounted.
ENV HOME=/tmp
WORKDIR /data
ENTRYPOINT ["mmreg"]
CMD ["--help"]

# The environment of requirements/gpu.lock in an image, for KubeRay and other container clusters:
#   docker build --tag funreason-train .
# CUDA's libraries come with the lock's wheels; the host brings the driver (580 or newer). gcc and Python's headers are
# there because Triton compiles a launcher for each kernel at run time.
FROM python:3.11-slim-bookworm

# Unpinned: Debian keeps only the newest build of a package, so a pinned one cannot be had for long.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc g++ libc6-dev libnuma1 iproute2 git procps \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/funreason-train
COPY requirements/gpu.lock requirements/gpu.lock
RUN pip install --no-cache-dir uv==0.9.* \
    && uv venv --python /usr/local/bin/python /opt/venv \
    && UV_COMPILE_BYTECODE=1 UV_HTTP_TIMEOUT=300 uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes requirements/gpu.lock
COPY . .
RUN uv pip install --no-cache --python /opt/venv/bin/python --no-deps --no-build-isolation --editable .

# The environment is complete: the launch scripts must not make another.
ENV PATH=/opt/venv/bin:$PATH VIRTUAL_ENV=/opt/venv FUNREASON_BOOTSTRAP=skip

# The environment of requirements.lock in a container:
#   docker build -t acrl-bench .
#   docker run --rm acrl-bench               make repro
#   docker run --rm acrl-bench make test
FROM python:3.11-slim

# EGL draws episodes, and the report is tested in Chromium.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make libegl1 libegl-mesa0 chromium \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 acrl
USER acrl
WORKDIR /home/acrl/acrl-bench

# What `make setup` does, in two steps, so that the libraries stay in Docker's cache until the lock changes. The CPU build
# of torch is found in an index of its own.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
COPY --chown=acrl:acrl requirements.lock ./
RUN python3.11 -m venv .venv \
    && .venv/bin/pip install --quiet --no-cache-dir --require-hashes --no-deps -r requirements.lock

# With git's folder: results say which commit made them.
COPY --chown=acrl:acrl . .
RUN .venv/bin/pip install --quiet --no-build-isolation --no-deps --editable . \
    && touch .venv/.installed

CMD ["make", "repro"]

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

# In two steps, so that the libraries stay in Docker's cache until the lock changes.
ENV PIP_NO_CACHE_DIR=1
COPY --chown=acrl:acrl Makefile install_libraries.sh pyproject.toml requirements.lock ./
RUN make libraries

# With git's folder: results say which commit made them.
COPY --chown=acrl:acrl . .
RUN make setup

CMD ["make", "repro"]

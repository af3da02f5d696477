# Three images: `runtime` is the gateway without the embedded API server; `demo` has the server (docs/embedded.md);
# `load` brings Locust. A build without a target makes `runtime`.
ARG BASE_IMAGE=python:3.11-slim

# pip installs only the files that requirements/ names by hash; the build fetches no other files.
FROM ${BASE_IMAGE} AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/build
COPY requirements/build.txt requirements/
RUN /opt/build/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY deploy deploy
COPY proxy proxy
COPY controlplane controlplane
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels .

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/fleetgate
COPY requirements requirements
RUN /opt/fleetgate/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/runtime.txt
COPY --from=wheel /wheels /wheels
RUN /opt/fleetgate/bin/pip install --quiet --no-deps --no-index /wheels/*.whl \
 && ln -s "$(cd / && /opt/fleetgate/bin/python -P -c 'import controlplane.embedded as e; print(e.__path__[0])')/deploy" \
          /opt/fleetgate/deploy

# Files that only the demo needs are set apart, under the directories where the demo image gets them.
FROM build AS parts
RUN package="$(cd / && /opt/fleetgate/bin/python -P -c 'import controlplane; print(controlplane.__path__[0])')" \
 && install -d "/opt/demo${package}" \
 && mv "${package}/embedded" "/opt/demo${package}/" \
 && mv /opt/fleetgate/deploy /opt/demo/opt/fleetgate/

FROM ${BASE_IMAGE} AS runtime
LABEL org.opencontainers.image.title="fleetgate" \
      org.opencontainers.image.description="One HTTP gateway in front of many Kubernetes clusters" \
      org.opencontainers.image.licenses="Apache-2.0"
# Volumes mounted here for the first time take over the owner, so that they can be written without root.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/fleetgate /kubeconfigs
COPY --from=parts /opt/fleetgate /opt/fleetgate
ENV PATH=/opt/fleetgate/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    FLEETGATE_STATE_DIR=/var/lib/fleetgate
USER 10001:10001
WORKDIR /tmp
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-P", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9901/readyz', timeout=2)"]
ENTRYPOINT ["fleetgate"]
CMD ["--help"]

# The verbs `demo` and `apiserver` besides: for docker-compose.yml, never for a cluster.
FROM runtime AS demo
COPY --from=parts /opt/demo /

# Locust with the scenarios of loadtest/, for the compose profile "load".
FROM build AS load
RUN /opt/fleetgate/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/load.txt
COPY loadtest /loadtest
RUN install -d -o 10001 -g 10001 -m 0700 /kubeconfigs
ENV PATH=/opt/fleetgate/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["locust", "-f", "/loadtest/locustfile.py", "--headless"]

# Builds without a target get the gateway.
FROM runtime

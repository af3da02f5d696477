# One image for the gateway and for the embedded API servers of the demo.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/fleetgate
# The dependencies first, so that a change of the code does not fetch them again.
COPY pyproject.toml README.md LICENSE ./
COPY proxy/__init__.py proxy/__init__.py
COPY controlplane/__init__.py controlplane/__init__.py
RUN /opt/fleetgate/bin/pip install --quiet .
COPY deploy deploy
COPY proxy proxy
COPY controlplane controlplane
RUN /opt/fleetgate/bin/pip install --quiet --no-deps --force-reinstall . \
 && ln -s "$(cd / && /opt/fleetgate/bin/python -c 'import controlplane.embedded as e; print(e.__path__[0])')/deploy" \
          /opt/fleetgate/deploy

FROM ${BASE_IMAGE} AS runtime
LABEL org.opencontainers.image.title="fleetgate" \
      org.opencontainers.image.description="One HTTP gateway in front of many Kubernetes clusters" \
      org.opencontainers.image.licenses="Apache-2.0"
# Volumes mounted here for the first time take over the owner, so that they can be written without root.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/fleetgate /kubeconfigs
COPY --from=build /opt/fleetgate /opt/fleetgate
ENV PATH=/opt/fleetgate/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9901/readyz', timeout=2)"]
ENTRYPOINT ["fleetgate"]
CMD ["--help"]

# Locust with the scenarios of loadtest/, for the compose profile "load".
FROM build AS load
RUN /opt/fleetgate/bin/pip install --quiet '.[load]'
COPY loadtest /loadtest
RUN install -d -o 10001 -g 10001 -m 0700 /kubeconfigs
ENV PATH=/opt/fleetgate/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["locust", "-f", "/loadtest/locustfile.py", "--headless"]

# Builds without a target get the gateway.
FROM runtime

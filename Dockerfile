# A peer node. `docker build -t dkg .`, then see scripts/deploy/compose.yaml; what can be set: docs/operations.md.

FROM python:3.11-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY contracts contracts
COPY dkg dkg
COPY node node
# One dependency of libp2p (fastecdsa) has no wheel: it is compiled here, with what this image has.
RUN python -m venv /opt/dkg \
    && /opt/dkg/bin/pip install --no-cache-dir --constraint constraints.txt ".[node]"

FROM python:3.11-slim-bookworm
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgmp10 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/dkg --create-home dkg
COPY --from=build /opt/dkg /opt/dkg
# The log goes to standard error: `docker logs NAME 2>&1 | dkg logs -`.
ENV PATH=/opt/dkg/bin:$PATH \
    DKG_HOME=/var/lib/dkg/home \
    DKG_NODE_CONFIG=/var/lib/dkg/node/node.toml \
    DKG_NODE_NODE_LOG_FILE=
USER 10001:10001
WORKDIR /var/lib/dkg
VOLUME ["/var/lib/dkg"]
EXPOSE 8900 4001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s CMD ["dkg", "status", "--quiet"]
ENTRYPOINT ["dkg"]
CMD ["start"]

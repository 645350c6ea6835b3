# mock-fal in a container: docker build -t mock-fal .   (docs/how-to/containers.md)
# Debian's Python in both stages, so that the environment of the first one fits the second, which has no shell.
FROM debian:12-slim AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv python3-pip binutils
COPY pyproject.toml README.md LICENSE /src/
COPY mock_fal /src/mock_fal
COPY contracts /src/contracts
COPY openapi /src/openapi
# Symbols are two thirds of the compiled modules. Libraries that auditwheel has changed stay as they are.
RUN python3 -m venv --without-pip /opt/mock-fal \
 && python3 -m pip --python /opt/mock-fal/bin/python install --no-cache-dir --only-binary :all: /src \
 && find /opt/mock-fal -name "*.so" -not -path "*.libs/*" -exec strip --strip-unneeded {} + \
 && install -d -o 65532 -g 65532 /rootfs/ca \
 && install -d -o 65532 -g 65532 -m 700 /rootfs/ca/private

FROM gcr.io/distroless/python3-debian12:nonroot
COPY --from=build /rootfs/ /
COPY --from=build /opt/mock-fal /opt/mock-fal
# In a container, loopback is the container itself. Other machines need the control token for all but fal's hosts.
ENV PATH=/opt/mock-fal/bin:/usr/bin:/bin MOCK_FAL_HOST=0.0.0.0
USER 65532:65532
EXPOSE 8325
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --start-interval=1s CMD ["mock-fal", "health"]
ENTRYPOINT ["mock-fal"]
CMD ["serve"]

# A static binary on nothing: no shell, no package manager, no root.
# The base is golang:1.26-trixie of 2026-07-14, as docker-library/repo-info lists
# it. It only lends a shell: .ci/build fetches the compiler of the release, so
# that the image holds the very binary of the release.
FROM --platform=$BUILDPLATFORM golang:1.26-trixie@sha256:4ee9ffa999b4583ce281939cdff828763083610292f252279a0cee77473bd9a7 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
RUN bash .ci/build "${VERSION}" "${TARGETOS}/${TARGETARCH}" /out/gatekeeper \
 && mkdir -p /out/data /out/keys /out/etc \
 && echo 'gatekeeper:x:65532:65532::/data:/nonexistent' > /out/etc/passwd

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/local/go/lib/time/zoneinfo.zip
COPY --from=build /out/etc/passwd /etc/passwd
COPY --from=build /out/gatekeeper /gatekeeper
COPY --from=build --chown=65532:65532 /out/data /data
# A volume that Docker makes here takes its owner from the image.
COPY --from=build --chown=65532:65532 /out/keys /keys
ENV ZONEINFO=/usr/local/go/lib/time/zoneinfo.zip
USER 65532:65532
WORKDIR /data
EXPOSE 8080 9090
ENTRYPOINT ["/gatekeeper"]
CMD ["serve", "--config", "/data/gatekeeper.yaml"]

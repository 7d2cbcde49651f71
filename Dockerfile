# A static binary on nothing: no shell, no package manager, no root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/gatekeeper ./cmd/gatekeeper \
 && mkdir -p /out/data /out/etc \
 && echo 'gatekeeper:x:65532:65532::/data:/nonexistent' > /out/etc/passwd

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/local/go/lib/time/zoneinfo.zip
COPY --from=build /out/etc/passwd /etc/passwd
COPY --from=build /out/gatekeeper /gatekeeper
COPY --from=build --chown=65532:65532 /out/data /data
ENV ZONEINFO=/usr/local/go/lib/time/zoneinfo.zip
USER 65532:65532
WORKDIR /data
EXPOSE 8080 9090
ENTRYPOINT ["/gatekeeper"]
CMD ["serve", "--config", "/data/gatekeeper.yaml"]

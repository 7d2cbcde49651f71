package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// The bounds of sending one batch.
const (
	maxTries  = 3
	maxAnswer = 64 << 10
	maxPause  = 5 * time.Second
)

// client posts spans as OTLP over HTTP wants them: otlptracehttp would bring
// gRPC and a gateway along, a third of our binary's weight of packages, for
// one POST. It follows no redirect: its headers may hold a key.
type client struct {
	http *http.Client
	s    Settings
}

var _ otlptrace.Client = (*client)(nil)

func newClient(s Settings) (*client, error) {
	own := http.DefaultTransport.(*http.Transport).Clone()
	if s.Certificate != "" || s.ClientCert != "" || s.ClientKey != "" {
		var err error
		if own.TLSClientConfig, err = s.tls(); err != nil {
			return nil, err
		}
	}
	return &client{s: s, http: &http.Client{Transport: own, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func (s Settings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.Certificate != "" {
		body, err := os.ReadFile(s.Certificate)
		c.RootCAs = x509.NewCertPool()
		if err != nil || !c.RootCAs.AppendCertsFromPEM(body) {
			return nil, fmt.Errorf("trace: OTEL_EXPORTER_OTLP_CERTIFICATE names %s, which holds no certificate in PEM", s.Certificate)
		}
	}
	if s.ClientCert != "" || s.ClientKey != "" {
		pair, err := tls.LoadX509KeyPair(s.ClientCert, s.ClientKey)
		if err != nil {
			return nil, errors.New("trace: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY name no pair of a certificate and its key")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. TracesData is on the wire what
// ExportTraceServiceRequest is; that one's package needs gRPC.
func (c *client) UploadTraces(ctx context.Context, spans []*wire.ResourceSpans) error {
	ctx, cancel := context.WithTimeout(ctx, c.s.Timeout)
	defer cancel()
	body, err := proto.Marshal(&wire.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if c.s.Gzip {
		body = zipped(body)
	}
	for try := 1; ; try++ {
		after, err := c.post(ctx, body)
		if err == nil || after < 0 || try == maxTries || !pause(ctx, max(after, time.Duration(try)*200*time.Millisecond)) {
			return err
		}
	}
}

// post sends once. after is when to try again, below zero: never.
func (c *client) post(ctx context.Context, body []byte) (after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.s.Endpoint, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	for name, value := range c.s.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if c.s.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err // the URL may hold a key
		}
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection is used again
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(max(seconds, 0)) * time.Second, fmt.Errorf("the collector answered %d", resp.StatusCode)
	}
	if resp.StatusCode/100 != 2 {
		return -1, fmt.Errorf("the collector answered %d", resp.StatusCode)
	}
	return 0, nil
}

// pause waits, unless it would be too long for what waits behind it.
func pause(ctx context.Context, d time.Duration) bool {
	if d > maxPause {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func zipped(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body) // a buffer takes all
	_ = w.Close()
	return out.Bytes()
}

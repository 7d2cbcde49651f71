// Package otlpbox is a stand-in for an OpenTelemetry collector: OTLP over HTTP
// with protobuf, as the specification words it
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp). It keeps what it took,
// and can be told to fail. It listens on loopback only.
package otlpbox

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxBody is the largest batch that it takes.
const maxBody = 4 << 20

// Collector is the stand-in.
type Collector struct {
	server *httptest.Server

	mu      sync.Mutex
	spans   []Span
	raw     []byte // all bodies, unzipped
	headers []http.Header
	fault   Fault
	hang    chan struct{} // closed when the fault is over
	calls   int
	news    chan struct{} // closed at each call
}

// Fault is how it fails.
type Fault int

// The faults.
const (
	None    Fault = iota
	Down          // 503
	Hang          // takes a call and never answers, until the next SetFault or Close
	Rubbish       // 200 with a page
	Refuse        // 400
	Away          // 307 to another place
)

// Start starts a collector.
func Start() *Collector {
	c := &Collector{news: make(chan struct{}), hang: make(chan struct{})}
	c.server = httptest.NewServer(c)
	return c
}

// URL is its endpoint for all signals, as OTEL_EXPORTER_OTLP_ENDPOINT wants it.
func (c *Collector) URL() string { return c.server.URL }

// Close stops it.
func (c *Collector) Close() {
	c.SetFault(None)
	c.server.Close()
}

// SetFault makes it fail so from now on.
func (c *Collector) SetFault(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
	close(c.hang)
	c.hang = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, status := read(r)
	c.mu.Lock()
	fault, hang := c.fault, c.hang
	c.headers = append(c.headers, r.Header.Clone())
	if status == http.StatusOK && fault == None {
		status = c.keep(body)
	}
	c.calls++
	close(c.news)
	c.news = make(chan struct{})
	c.mu.Unlock()
	switch fault {
	case Down:
		status = http.StatusServiceUnavailable
	case Refuse:
		status = http.StatusBadRequest
	case Hang:
		select {
		case <-hang:
		case <-r.Context().Done():
		}
		return
	case Rubbish:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>\x00\xff not a collector"))
		return
	case Away:
		http.Redirect(w, r, "http://127.0.0.1:9/v1/traces", http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(status)
}

// read is the body as it was before it was zipped.
func read(r *http.Request) ([]byte, int) {
	switch {
	case r.URL.Path != "/v1/traces":
		return nil, http.StatusNotFound
	case r.Method != http.MethodPost:
		return nil, http.StatusMethodNotAllowed
	case r.Header.Get("Content-Type") != "application/x-protobuf":
		return nil, http.StatusUnsupportedMediaType
	}
	from := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, http.StatusBadRequest
		}
		from = zipped
	}
	body, err := io.ReadAll(io.LimitReader(from, maxBody))
	if err != nil {
		return nil, http.StatusBadRequest
	}
	return body, http.StatusOK
}

func (c *Collector) keep(body []byte) int {
	var batch wire.TracesData
	if proto.Unmarshal(body, &batch) != nil || len(batch.GetResourceSpans()) == 0 {
		return http.StatusBadRequest
	}
	c.raw = append(c.raw, body...)
	c.spans = append(c.spans, spansOf(&batch)...)
	return http.StatusOK
}

// Spans are all that it took, in the order of their arrival.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Raw are all the bytes that it took.
func (c *Collector) Raw() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]byte(nil), c.raw...)
}

// Headers are those of all calls.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]http.Header(nil), c.headers...)
}

// Calls is how often it was called, also where it failed.
func (c *Collector) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// Wait waits until ok is so, which is asked again after each call.
func (c *Collector) Wait(ctx context.Context, ok func() bool) error {
	for {
		c.mu.Lock()
		news := c.news
		c.mu.Unlock()
		if ok() {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

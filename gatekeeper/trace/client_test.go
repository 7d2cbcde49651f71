package trace_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/otlpbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
)

// The gatekeeper is told of the trace, with spans or without; nobody else is.
func TestWhoIsToldOfTheTrace(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	heard := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header }))
	defer server.Close()
	box := otlpbox.Start()
	defer box.Close()
	on, err := trace.New(trace.Options{Settings: settings(box)})
	if err != nil {
		t.Fatal(err)
	}
	var off *trace.Tracing
	env := func(name string) string {
		return map[string]string{"TRACEPARENT": parent, "TRACESTATE": "acme=42", "BAGGAGE": "secret=1"}[name]
	}
	for name, c := range map[string]struct {
		tracing *trace.Tracing
		by      http.RoundTripper
		told    bool
		as      string // the very traceparent, where it is known
	}{
		"gatekeeper, with spans":    {on, on.ToGatekeeper(http.DefaultTransport), true, ""},
		"gatekeeper, without spans": {off, off.ToGatekeeper(http.DefaultTransport), true, parent},
		"a vendor, with spans":      {on, on.Outgoing("slack", http.DefaultTransport), false, ""},
		"a vendor, without spans":   {off, off.Outgoing("slack", http.DefaultTransport), false, ""},
	} {
		ctx, end := c.tracing.Start(c.tracing.Continue(t.Context(), env), "outer")
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.by.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		end(nil)
		h := <-heard
		got, state := h.Get("Traceparent"), h.Get("Tracestate")
		if (got != "") != c.told || (state == "acme=42") != c.told || h.Get("Baggage") != "" || c.as != "" && got != c.as || c.told && got[:35] != parent[:35] {
			t.Errorf("%s: told %q, %q", name, got, state)
		}
	}
	on.Close(t.Context())
	if n := len(box.Spans()); n != 4 { // two outer ones, two of calls
		t.Errorf("%d spans", n)
	}
}

// What the environment holds may be no traceparent; then one is made up.
func TestContinueMakesOneUp(t *testing.T) {
	var off *trace.Tracing
	for _, broken := range []string{"", "rubbish", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"} {
		told := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.Header.Get("Traceparent") }))
		req, _ := http.NewRequestWithContext(off.Continue(t.Context(), func(string) string { return broken }), http.MethodGet, server.URL, nil)
		resp, err := off.ToGatekeeper(http.DefaultTransport).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := <-told; len(got) != 55 || got == broken || got[53:] != "01" {
			t.Errorf("%q: told %q", broken, got)
		}
		server.Close()
	}
}

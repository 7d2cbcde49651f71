package trace_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/otlpbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
)

func settings(box *otlpbox.Collector) trace.Settings {
	s, _ := trace.Environment(func(string) string { return "" }, box.URL())
	s.Headers = map[string]string{"x-key": "s3cret-key"}
	return s
}

// A collector that fails costs spans and nothing else: whoever ends a span
// goes on at once, the end is bounded, the outage is told once, and its key
// never.
func TestCollectorFails(t *testing.T) {
	for name, c := range map[string]struct {
		fault  otlpbox.Fault
		lost   bool
		within time.Duration // closing takes no longer
		calls  int           // at least
	}{
		"takes them": {otlpbox.None, false, 2 * time.Second, 1},
		"down":       {otlpbox.Down, true, 2500 * time.Millisecond, 3},
		"refuses":    {otlpbox.Refuse, true, 2500 * time.Millisecond, 1},
		"hangs":      {otlpbox.Hang, true, 2500 * time.Millisecond, 1},
		"rubbish":    {otlpbox.Rubbish, false, 2500 * time.Millisecond, 1},
		"elsewhere":  {otlpbox.Away, true, 2500 * time.Millisecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := otlpbox.Start()
			defer box.Close()
			box.SetFault(c.fault)
			var lost atomic.Int64
			var log strings.Builder
			tr, err := trace.New(trace.Options{Settings: settings(box), Service: "x", Logger: slog.New(slog.NewTextHandler(&log, nil)), Failed: func(n int) { lost.Add(int64(n)) }})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for range 5000 { // more than the queue holds
				_, end := tr.Start(t.Context(), "s")
				end(nil)
			}
			if d := time.Since(began); d > time.Second {
				t.Errorf("5000 spans took %s", d)
			}
			began = time.Now()
			tr.Close(context.Background())
			if d := time.Since(began); d > c.within {
				t.Errorf("closing took %s", d)
			}
			if (lost.Load() > 0) != c.lost && c.fault != otlpbox.Hang || box.Calls() < c.calls {
				t.Errorf("%d spans are said to be lost, after %d calls", lost.Load(), box.Calls())
			}
			if strings.Contains(log.String(), "s3cret-key") || strings.Count(log.String(), "does not take traces") > 1 {
				t.Error(log.String())
			}
		})
	}
}

// What is sent is what the specification wants, zipped where it was asked.
func TestExport(t *testing.T) {
	for _, zip := range []bool{false, true} {
		box := otlpbox.Start()
		s := settings(box)
		s.Gzip = zip
		tr, err := trace.New(trace.Options{Settings: s, Service: "gatekeeper", Version: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := tr.Start(t.Context(), "outer")
		_, inner := tr.Start(ctx, "inner")
		inner(nil)
		end(nil)
		tr.Close(t.Context())
		got := box.Spans()
		if len(got) != 2 || got[0].Name != "inner" || got[0].Parent != got[1].ID || got[0].Trace != got[1].Trace || got[0].Service != "gatekeeper" {
			t.Errorf("zip %v: %+v", zip, got)
		}
		if h := box.Headers(); len(h) != 1 || h[0].Get("X-Key") != "s3cret-key" || (h[0].Get("Content-Encoding") == "gzip") != zip {
			t.Errorf("zip %v: %v", zip, h)
		}
		box.Close()
	}
}

// Nothing named, nothing made: every decorator gives back what it was given.
func TestOff(t *testing.T) {
	tr, err := trace.New(trace.Options{})
	if err != nil || tr != nil {
		t.Fatal(tr, err)
	}
	logger := slog.New(slog.DiscardHandler)
	if tr.Logger(logger) != logger || tr.Store(nil) != nil || tr.Verifier(nil) != nil || tr.Decider(nil) != nil || tr.Handler(nil) != nil || tr.Outgoing("x", nil) != nil {
		t.Error("something stands around what is not traced")
	}
	tr.Close(t.Context())
	tr.Abandon()
}

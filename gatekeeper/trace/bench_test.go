package trace_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/otlpbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
)

type nothing struct{ gatekeeper.Store }

func (nothing) Verify(context.Context, string, string) (w gatekeeper.Workload, err error) {
	return w, err
}
func (nothing) Record(context.Context, gatekeeper.Change) error { return nil }

// BenchmarkCall is what tracing adds to a call that verifies and records, and
// does nothing else.
func BenchmarkCall(b *testing.B) {
	box := otlpbox.Start()
	defer box.Close()
	unsampled, sampled := settings(box), settings(box)
	unsampled.Ratio, sampled.PerSecond = 0, 1<<30
	for name, s := range map[string]trace.Settings{"off": {}, "not sampled": unsampled, "sampled": sampled} {
		tr, err := trace.New(trace.Options{Settings: s})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			verifier, store := tr.Verifier(nothing{}), tr.Store(nothing{})
			h := tr.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = verifier.Verify(r.Context(), "", "")
				_ = store.Record(r.Context(), gatekeeper.Change{})
			}), "/v1/")
			r := httptest.NewRequest(http.MethodPost, "/v1/requests", nil)
			r.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
		tr.Close(b.Context())
	}
}

package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

func signer(t testing.TB) *ledger.Signer {
	t.Helper()
	key, err := ledger.LoadOrCreateKey(filepath.Join(t.TempDir(), "ledger.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ledger.NewSigner(ledger.SignerOptions{Origin: "gatekeeper.test/ledger", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, path string) *store.SQLite {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), store.Options{Path: path, Ledger: signer(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func request(id, binding string, now time.Time) gatekeeper.Request {
	return gatekeeper.Request{
		ID: id, State: gatekeeper.Pending, Binding: binding, Environment: "production", CreatedAt: now,
		Workload: gatekeeper.Workload{IssuerURL: "https://issuer", RepositoryID: "1", Claims: map[string]any{"n": 12345678901234567}},
	}
}

func event(id, about string) gatekeeper.Event {
	return gatekeeper.Event{ID: id, Type: gatekeeper.EventRequestOpened, Time: time.Now().UTC(), Request: about, State: gatekeeper.Pending}
}

func opener(id, binding string) (gatekeeper.OpenKey, func(gatekeeper.OpenView) (gatekeeper.Change, error)) {
	return gatekeeper.OpenKey{Binding: binding, Repository: "https://issuer 1"}, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
		if v.Existing != nil {
			return gatekeeper.Change{}, nil
		}
		return gatekeeper.Change{Request: request(id, binding, v.Now), Events: []gatekeeper.Event{event("evt_"+id, id)},
			Work: []gatekeeper.Work{{Kind: gatekeeper.WorkMessage, Key: id}}}, nil
	}
}

func BenchmarkOpen(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "g.db"))
	var n atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := fmt.Sprint("req_", n.Add(1))
			key, decide := opener(id, id)
			if _, err := s.Open(context.Background(), key, decide); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

func TestOpenOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "g.db"))
	var wg sync.WaitGroup
	var made atomic.Int64
	for i := range 100 {
		wg.Go(func() {
			key, decide := opener(fmt.Sprint("req_", i), "same")
			r, err := s.Open(t.Context(), key, decide)
			if err != nil {
				t.Error(err)
			}
			if r.ID != "" {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Fatalf("%d requests were made of one binding", made.Load())
	}
}

func TestWork(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "g.db"))
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan gatekeeper.Work, 10)
	fails := errors.New("not yet")
	r := store.NewRunner(s, store.RunnerOptions{Handlers: map[string]gatekeeper.WorkHandler{
		"a": func(_ context.Context, w gatekeeper.Work) error {
			ran <- w
			if w.Attempt == 1 {
				return &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: time.Millisecond, Err: fails}
			}
			return nil
		},
	}})
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	if err := s.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: "a", Key: "k", Payload: []byte(`{"x":1}`)}}}); err != nil {
		t.Fatal(err)
	}
	for want := range 2 {
		if w := <-ran; w.Attempt != want+1 || string(w.Payload) != `{"x":1}` {
			t.Fatalf("got %+v", w)
		}
	}
	cancel()
	<-done
	if q, err := s.Queue(t.Context()); err != nil || len(q) != 0 {
		t.Fatalf("%v is left, %v", q, err)
	}
}

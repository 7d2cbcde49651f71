package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store/storetest"
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

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), store.Options{Path: path, Ledger: signer(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func BenchmarkOpen(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "g.db"))
	var n atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := fmt.Sprint("req_", n.Add(1))
			key, decide := storetest.OpenerOf(fmt.Sprint(n.Load()%1000), id, id)
			if _, err := s.Open(context.Background(), key, decide); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
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

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend { return open(t, filepath.Join(t.TempDir(), "g.db")) })
}

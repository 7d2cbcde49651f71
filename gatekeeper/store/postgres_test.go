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
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store/storetest"
)

// replica opens one more store on the database.
func replica(t testing.TB, url string, l store.Ledger) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: url, Ledger: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestPostgres takes one cluster through everything.
func TestPostgres(t *testing.T) {
	pg := postgres.Start(t, postgres.Options{})
	t.Run("conformance", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Backend { return replica(t, pg.Database(), signer(t)) })
	})
	for name, test := range map[string]func(*testing.T, *postgres.Server){
		"replicas take turns": replicasTakeTurns, "news between replicas": newsBetweenReplicas, "shared work": sharedWork, "left work": leftWork, "the clock is set": clockIsSet, "one leads": oneLeads, "a batch is like one by one": batchOnPostgres, "the key rotates": keyRotates,
	} {
		t.Run(name, func(t *testing.T) { test(t, pg) })
	}
}

// Threats row 31, on two replicas: of a thousand that want the same, one gets
// it, and the tree that both append to holds.
func replicasTakeTurns(t *testing.T, pg *postgres.Server) {
	url := pg.Database()
	l, verifier := keyed(t)
	replicas := []*store.Store{replica(t, url, l), replica(t, url, l)}
	key, decide := storetest.Opener("req_1", "b")
	if _, err := replicas[0].Open(t.Context(), key, decide); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			_, err := replicas[i%2].Update(t.Context(), "req_1", func(old gatekeeper.Request, now time.Time) (gatekeeper.Change, error) {
				e := gatekeeper.Event{ID: fmt.Sprint("evt_", i), Type: gatekeeper.EventRedemptionIntended, Time: now, Request: "req_1"}
				if len(old.Redemptions) > 0 {
					return gatekeeper.Change{Events: []gatekeeper.Event{e}}, nil
				}
				old.Redemptions = append(old.Redemptions, gatekeeper.Redemption{ID: "red"})
				won.Add(1)
				return gatekeeper.Change{Request: old, Events: []gatekeeper.Event{e}}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d got it", won.Load())
	}
	holds(t, url, verifier, 1001)
}

// keyed is a signer with the key that verifies it.
func keyed(t testing.TB) (l *ledger.Signer, verifier string) {
	t.Helper()
	key, err := ledger.LoadOrCreateKey(filepath.Join(t.TempDir(), "ledger.pem"))
	if err != nil {
		t.Fatal(err)
	}
	const origin = "gatekeeper.test/ledger"
	if l, err = ledger.NewSigner(ledger.SignerOptions{Origin: origin, Key: key}); err != nil {
		t.Fatal(err)
	}
	if verifier, err = ledger.VerifierKey(origin, key); err != nil {
		t.Fatal(err)
	}
	return l, verifier
}

// source is a ledger as its verifier reads it.
type source struct{ *store.Reader }

func (s source) Leaves(ctx context.Context, from int64, visit func(ledger.Leaf) error) error {
	return s.Reader.Leaves(ctx, from, "", func(l store.Leaf) error { return visit(ledger.Leaf(l)) })
}

func holds(t *testing.T, url, verifier string, events int64) {
	t.Helper()
	r, err := store.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	report, err := ledger.Verify(t.Context(), source{r}, ledger.VerifyOptions{VerifierKey: verifier})
	if err != nil || report.Events != events {
		t.Errorf("%+v, %v", report, err)
	}
}

// A change at one replica wakes who waits at another.
func newsBetweenReplicas(t *testing.T, pg *postgres.Server) {
	url, l := pg.Database(), signer(t)
	here, there := replica(t, url, l), replica(t, url, l)
	key, decide := storetest.Opener("req_1", "b")
	if _, err := here.Open(t.Context(), key, decide); err != nil {
		t.Fatal(err)
	}
	changed, stop := there.Watch("req_1")
	defer stop()
	for round := range 3 {
		if round == 1 { // over a restart of the database as well
			pg.Stop()
			pg.Restart()
		}
		for len(changed) > 0 {
			<-changed
		}
		touch(t, here)
		for seen := false; !seen; {
			select {
			case <-changed:
				r, err := there.Get(t.Context(), "req_1")
				seen = err == nil && r.Version >= int64(round)+2
			case <-time.After(20 * time.Second):
				t.Fatalf("round %d: nobody was told", round)
			}
		}
	}
}

// touch changes the request, as soon as the database takes it.
func touch(t *testing.T, s *store.Store) {
	t.Helper()
	for t.Context().Err() == nil {
		_, err := s.Update(t.Context(), "req_1", func(old gatekeeper.Request, _ time.Time) (gatekeeper.Change, error) {
			return gatekeeper.Change{Request: old}, nil
		})
		if err == nil {
			return
		}
		if gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
			t.Fatal(err)
		}
	}
}

// Work is done once between replicas.
func sharedWork(t *testing.T, pg *postgres.Server) {
	url, l := pg.Database(), signer(t)
	replicas := []*store.Store{replica(t, url, l), replica(t, url, l)}
	ctx, cancel := context.WithCancel(t.Context())
	const pieces = 200
	var mu sync.Mutex
	ran := map[string]int{}
	all := make(chan struct{})
	handler := func(_ context.Context, w gatekeeper.Work) error {
		mu.Lock()
		defer mu.Unlock()
		if ran[w.Key]++; len(ran) == pieces {
			select {
			case <-all:
			default:
				close(all)
			}
		}
		return nil
	}
	var wg sync.WaitGroup
	for _, s := range replicas {
		r := store.NewRunner(s, store.RunnerOptions{Handlers: map[string]gatekeeper.WorkHandler{"a": handler}})
		wg.Go(func() { r.Run(ctx) })
	}
	for i := range pieces {
		if err := replicas[i%2].Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: "a", Key: fmt.Sprint(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	<-all
	cancel()
	wg.Wait()
	for key, n := range ran {
		if n != 1 {
			t.Errorf("work %s was done %d times", key, n)
		}
	}
	if q, err := replicas[0].Queue(t.Context()); err != nil || len(q) != 0 {
		t.Errorf("%v is left, %v", q, err)
	}
}

// What a replica had in hand when it died is done by another one when the
// lease is over, and not before.
func leftWork(t *testing.T, pg *postgres.Server) {
	url, l := pg.Database(), signer(t)
	now := time.Now()
	clock := func() time.Time { return now }
	at := func() *store.Store {
		s, err := store.Open(t.Context(), store.Options{Path: url, Ledger: l, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	dying, other := at(), at()
	if err := dying.Record(t.Context(), gatekeeper.Change{Work: []gatekeeper.Work{{Kind: "a", Key: "k"}}}); err != nil {
		t.Fatal(err)
	}
	held, release := make(chan struct{}), make(chan struct{})
	first := store.NewRunner(dying, store.RunnerOptions{Handlers: map[string]gatekeeper.WorkHandler{
		"a": func(context.Context, gatekeeper.Work) error { close(held); <-release; return nil },
	}})
	if _, took, err := first.Step(t.Context()); took != 1 || err != nil {
		t.Fatalf("took %d, %v", took, err)
	}
	<-held
	done := make(chan gatekeeper.Work, 1)
	second := store.NewRunner(other, store.RunnerOptions{Handlers: map[string]gatekeeper.WorkHandler{
		"a": func(_ context.Context, w gatekeeper.Work) error { done <- w; return nil },
	}})
	if _, took, err := second.Step(t.Context()); took != 0 || err != nil {
		t.Errorf("work in hand was taken: %d, %v", took, err)
	}
	now = now.Add(21 * time.Second)
	if _, took, err := second.Step(t.Context()); took != 1 || err != nil {
		t.Fatalf("left work was not taken: %d, %v", took, err)
	}
	if w := <-done; w.Attempt != 2 {
		t.Errorf("it is attempt %d", w.Attempt)
	}
	second.Wait()
	close(release) // the first one was only slow: it ends nothing any more
	first.Wait()
	if q, err := other.Queue(t.Context()); err != nil || len(q) != 0 {
		t.Errorf("%v is left, %v", q, err)
	}
}

// A clock that is set, ahead or back, takes no work from whoever has it in
// hand, and keeps nobody from what a dead replica left, nor from what was due.
func clockIsSet(t *testing.T, pg *postgres.Server) {
	for name, by := range map[string]time.Duration{"ahead": 5 * time.Hour, "back": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			url, l := pg.Database(), signer(t)
			now := time.Now()
			at := func() *store.Store {
				s, err := store.Open(t.Context(), store.Options{Path: url, Ledger: l, Now: func() time.Time { return now }})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			holding, other := at(), at()
			release := make(chan struct{})
			first := store.NewRunner(holding, store.RunnerOptions{Handlers: map[string]gatekeeper.WorkHandler{
				"held": func(context.Context, gatekeeper.Work) error { <-release; return nil },
			}})
			fails, ran := true, map[string]int{}
			second := store.NewRunner(other, store.RunnerOptions{Concurrency: 1, Handlers: map[string]gatekeeper.WorkHandler{
				"held": func(context.Context, gatekeeper.Work) error { ran["held"]++; return nil },
				"due": func(context.Context, gatekeeper.Work) error {
					if ran["due"]++; fails {
						return errors.New("not yet")
					}
					return nil
				},
			}})
			step := func(r *store.Runner, want int) {
				t.Helper()
				if _, took, err := r.Step(t.Context()); took != want || err != nil {
					t.Fatalf("took %d, want %d, %v; ran %v", took, want, err, ran)
				}
			}
			add := func(kind string) {
				if err := holding.Record(t.Context(), gatekeeper.Change{Work: []gatekeeper.Work{{Kind: kind, Key: "k"}}}); err != nil {
					t.Fatal(err)
				}
			}
			add("held")
			step(first, 1)
			add("due")
			step(second, 1) // and fails: again in a second
			second.Wait()
			fails, now = false, now.Add(by)
			step(second, 1) // what was nearly due, and not what is held
			second.Wait()
			step(second, 0)
			now = now.Add(21 * time.Second) // nobody renewed it: its holder is dead
			step(second, 1)
			second.Wait()
			if ran["due"] != 2 || ran["held"] != 1 {
				t.Errorf("ran %v", ran)
			}
			close(release)
			first.Wait()
		})
	}
}

// One replica leads, and another one when the first is gone.
func oneLeads(t *testing.T, pg *postgres.Server) {
	url, l := pg.Database(), signer(t)
	first, second := replica(t, url, l), replica(t, url, l)
	if alone, err := first.Alone(t.Context()); err != nil || alone {
		t.Errorf("two replicas, and one thinks it is alone: %v", err)
	}
	leading := make(chan string, 2)
	var wg sync.WaitGroup
	run := func(name string, s *store.Store) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			s.Lead(ctx, "x", func(ctx context.Context) { leading <- name; <-ctx.Done() })
		})
		return cancel
	}
	stopFirst := run("first", first)
	if got := <-leading; got != "first" {
		t.Fatal(got)
	}
	stopSecond := run("second", second)
	select {
	case got := <-leading:
		t.Errorf("%s leads as well", got)
	case <-time.After(100 * time.Millisecond):
	}
	stopFirst()
	if got := <-leading; got != "second" {
		t.Error(got)
	}
	stopSecond()
	wg.Wait()
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	for t.Context().Err() == nil { // its connection ends in the server's own time
		if alone, err := first.Alone(t.Context()); err != nil || alone {
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

func BenchmarkPostgresOpen(b *testing.B) {
	pg := postgres.Start(b, postgres.Options{Durable: true})
	s := replica(b, pg.Database(), signer(b))
	var n atomic.Int64
	b.SetParallelism(64)
	b.ResetTimer()
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

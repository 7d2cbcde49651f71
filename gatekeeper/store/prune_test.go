package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store/storetest"
	"golang.org/x/mod/sumdb/tlog"
)

// A request goes whole, once it is over and old enough; passkeys and what the
// ledger says of itself stay.
func TestPrune(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "g.db"))
	ctx := t.Context()
	for i, state := range []gatekeeper.State{gatekeeper.Denied, gatekeeper.Pending, gatekeeper.Denied} {
		id := fmt.Sprint("req_", i)
		key, decide := storetest.Opener(id, id)
		if _, err := s.Open(ctx, key, decide); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(ctx, id, func(r gatekeeper.Request, now time.Time) (gatekeeper.Change, error) {
			r.State = state
			return gatekeeper.Change{Request: r, Events: []gatekeeper.Event{{ID: "evt_end_" + id, Type: gatekeeper.EventRequestDenied, Time: now, Request: id, State: state}},
				Notes: []gatekeeper.Note{{Kind: "slack.message", Key: id, Value: []byte("x")}}}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []gatekeeper.EventType{gatekeeper.EventPasskeyEnrolled, gatekeeper.EventPruned, gatekeeper.EventRulesLoaded} {
		if err := s.Record(ctx, gatekeeper.Change{Events: []gatekeeper.Event{{ID: "evt_" + string(kind), Type: kind, Time: time.Now()}}}); err != nil {
			t.Fatal(err)
		}
	}
	// The last request's end is not old enough: index 5.
	if p, err := s.Prune(ctx, 0, 5, 100); err != nil || p.Events != 2 || p.Requests != 1 || p.Kept != 3 || p.Next != 5 {
		t.Fatalf("%+v, %v", p, err)
	}
	total := 0
	for at := int64(0); at < 9; {
		p, err := s.Prune(ctx, at, 9, 2)
		if err != nil || p.Next == at {
			t.Fatalf("%+v, %v", p, err)
		}
		at, total = p.Next, total+p.Events
	}
	var left []string
	if err := s.Reader().Leaves(ctx, 0, "", func(l store.Leaf) error {
		if len(l.Body) > 0 {
			left = append(left, l.ID)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := "[evt_req_1 evt_end_req_1 evt_passkey.enrolled evt_ledger.pruned]"; fmt.Sprint(left) != want || total != 3 {
		t.Errorf("%v are left, want %s; %d went", left, want, total)
	}
	for id, there := range map[string]bool{"req_0": false, "req_1": true, "req_2": false} {
		_, err := s.Get(ctx, id)
		note, noteErr := s.Note(ctx, "slack.message", id)
		if (err == nil) != there || (note != nil) != there || noteErr != nil {
			t.Errorf("%s: %v, note %q, %v", id, err, note, noteErr)
		}
	}
	if err := s.Forget(ctx); err != nil {
		t.Error(err)
	}
}

// Another process leaves work for the one that serves.
func TestSubmit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.db")
	s := open(t, path)
	if err := store.Submit(t.Context(), path, gatekeeper.Work{Kind: "a", Key: "k", Payload: []byte(`{"x":1}`)}); err != nil {
		t.Fatal(err)
	}
	if w, ok, err := s.Reader().Waiting(t.Context(), "a", "k"); err != nil || !ok || w.Attempts != 0 {
		t.Fatalf("%+v, %v, %v", w, ok, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := store.NewRunner(s, store.RunnerOptions{Handlers: map[string]gatekeeper.WorkHandler{"a": func(_ context.Context, w gatekeeper.Work) error {
		if string(w.Payload) != `{"x":1}` {
			t.Errorf("got %s", w.Payload)
		}
		return nil
	}}})
	if _, took, err := r.Step(ctx); err != nil || took != 1 {
		t.Fatal(took, err)
	}
	r.Wait()
	cancel()
	if _, ok, err := s.Reader().Waiting(t.Context(), "a", "k"); err != nil || ok {
		t.Errorf("it still waits: %v, %v", ok, err)
	}
}

// An append and a proof cost the same whether the ledger has a thousand events
// or ten million: the database holds the hashes that such a ledger would have
// on the way from its newest leaf to the root.
func BenchmarkLongLedger(b *testing.B) {
	for _, size := range []int64{1e3, 1e7} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "g.db")
			if err := open(b, path).Close(); err != nil {
				b.Fatal(err)
			}
			grow(b, path, size)
			s := open(b, path)
			n := 0
			for b.Loop() {
				n++
				e := gatekeeper.Event{ID: fmt.Sprint("evt_", n), Type: gatekeeper.EventRulesLoaded, Time: time.Now(), Request: "req_1"}
				if err := s.Record(b.Context(), gatekeeper.Change{Events: []gatekeeper.Event{e}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// grow makes the tables those of a ledger of size equal events, as far as
// appending looks at them.
func grow(b *testing.B, path string, size int64) {
	b.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		b.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			b.Fatal(err)
		}
	}
	exec(`INSERT INTO ledger_events (idx, id, type, request, time, body) VALUES (?, 'evt_last', 'rules.loaded', '', 0, CAST('{}' AS BLOB))`, size-1)
	levels := []tlog.Hash{tlog.RecordHash([]byte("{}"))}
	for range 40 {
		h := levels[len(levels)-1]
		levels = append(levels, tlog.NodeHash(h, h))
	}
	reads := map[int64]bool{tlog.StoredHashCount(size) - 1: true}
	record := func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			level, _ := tlog.SplitStoredHashIndex(index)
			reads[index], out[i] = true, levels[level]
		}
		return out, nil
	}
	if _, err := tlog.TreeHash(size, tlog.HashReaderFunc(record)); err != nil {
		b.Fatal(err)
	}
	for index := range reads {
		level, _ := tlog.SplitStoredHashIndex(index)
		h := levels[level]
		exec(`INSERT INTO ledger_hashes (idx, hash) VALUES (?, ?)`, index, h[:])
	}
}

package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store/storetest"
)

// brokenLedger fails when it is told to.
type brokenLedger struct {
	store.Ledger
	broken atomic.Bool
}

func (l *brokenLedger) Append(size int64, read func([]int64) ([][32]byte, error), leaves [][]byte) ([][32]byte, []byte, error) {
	if l.broken.Load() {
		return nil, nil, errors.New("disk full")
	}
	return l.Ledger.Append(size, read, leaves)
}

// Threats row 44: what the ledger does not take does not happen, and goes
// well again afterwards.
func TestLedgerFails(t *testing.T) {
	l := &brokenLedger{Ledger: signer(t)}
	s, err := store.OpenSQLite(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "g.db"), Ledger: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	key, decide := storetest.Opener("req_1", "b")
	l.broken.Store(true)
	if _, err := s.Open(t.Context(), key, decide); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Fatalf("got %v, want temporarily_unavailable", err)
	}
	if _, err := s.Get(t.Context(), "req_1"); gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
		t.Fatalf("the request is there all the same: %v", err)
	}
	if q, err := s.Queue(t.Context()); err != nil || len(q) != 0 {
		t.Fatalf("work was left: %v, %v", q, err)
	}
	l.broken.Store(false)
	if r, err := s.Open(t.Context(), key, decide); err != nil || r.Version != 1 {
		t.Fatalf("afterwards: %+v, %v", r, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Record(t.Context(), gatekeeper.Change{}); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("a closed store: %v", err)
	}
}

// Two services on one SQLite file would each believe to be the only writer.
func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.db")
	s := open(t, path)
	if _, err := store.OpenSQLite(t.Context(), store.Options{Path: path, Ledger: signer(t)}); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Fatalf("a second one: %v", err)
	}
	r, err := store.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := store.OpenSQLite(t.Context(), store.Options{Path: path, Ledger: signer(t)})
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

// A directory that cannot be written is told from a database that is served:
// looking for the other process would be in vain.
func TestNoPlaceForTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nowhere", "g.db")
	_, err := store.OpenSQLite(t.Context(), store.Options{Path: path, Ledger: signer(t)})
	if err == nil || errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "cannot be made or read") {
		t.Errorf("got %v", err)
	}
}

package store_test

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
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
	key, decide := opener("req_1", "b")
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

// Threats row 31: of a thousand that want the same, one gets it.
func TestCompareAndSwap(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "g.db"))
	key, decide := opener("req_1", "b")
	if _, err := s.Open(t.Context(), key, decide); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			_, err := s.Update(t.Context(), "req_1", func(old gatekeeper.Request, _ time.Time) (gatekeeper.Change, error) {
				if len(old.Redemptions) > 0 {
					return gatekeeper.Change{}, gatekeeper.Errorf(gatekeeper.CodeExpired, "used up")
				}
				old.Redemptions = append(old.Redemptions, gatekeeper.Redemption{ID: "red"})
				return gatekeeper.Change{Request: old}, nil
			})
			if err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of them got it", won.Load())
	}
}

// Threats row 17: a jti belongs to the bytes that came with it first.
func TestTokenReplay(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "g.db"))
	token := gatekeeper.Token{ID: "j", Hash: "a", ExpiresAt: time.Now().Add(time.Minute)}
	for _, c := range []struct {
		issuer, hash string
		code         gatekeeper.Code
	}{{"https://a", "a", ""}, {"https://a", "a", ""}, {"https://a", "b", gatekeeper.CodeInvalidToken}, {"https://b", "b", ""}} {
		token.Hash = c.hash
		if err := s.UseToken(t.Context(), c.issuer, token); gatekeeper.CodeOf(err) != c.code {
			t.Errorf("%s %s: %v, want %q", c.issuer, c.hash, err, c.code)
		}
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

func TestPendingIsCounted(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "g.db"))
	for want, id := range []string{"req_1", "req_2", "req_3"} {
		key, decide := opener(id, id)
		if _, err := s.Open(t.Context(), key, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
			if v.Pending != want {
				t.Errorf("%d are pending, want %d", v.Pending, want)
			}
			return decide(v)
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWatchAndNotes(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "g.db"))
	changed, stop := s.Watch("req_1")
	defer stop()
	key, decide := opener("req_1", "b")
	if _, err := s.Open(t.Context(), key, decide); err != nil {
		t.Fatal(err)
	}
	<-changed
	if v, err := s.Note(t.Context(), "k", "x"); err != nil || v != nil {
		t.Errorf("a note that nobody made: %q, %v", v, err)
	}
	if err := s.SetNote(t.Context(), "k", "x", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Note(t.Context(), "k", "x"); err != nil || string(v) != "1" {
		t.Errorf("got %q, %v", v, err)
	}
}

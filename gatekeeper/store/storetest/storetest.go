// Package storetest is what every store has to pass, whatever it is made of.
package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Backend is a store with what vendors' adapters keep in it.
type Backend interface {
	gatekeeper.Store
	gatekeeper.Finder
	Note(ctx context.Context, kind, key string) ([]byte, error)
	SetNote(ctx context.Context, kind, key string, value []byte) error
	Notes(ctx context.Context, kind string, limit int) (map[string][]byte, error)
	DropNote(ctx context.Context, kind, key string) error
	NotesUnder(ctx context.Context, kind, prefix string) ([]gatekeeper.Note, error)
}

// Run takes an empty store from open for each of its tests.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for name, test := range map[string]func(*testing.T, Backend){
		"open once": openOnce, "compare and swap": compareAndSwap, "token replay": tokenReplay, "pending is counted": pendingIsCounted,
		"older": older, "watch": watch, "watch the ledger": watchLedger, "notes": notes, "refusals leave nothing": refusals, "once": once, "held": held, "not found": notFound, "numbers stay": numbers,
		"find": find, "notes of a kind": notesOfAKind,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Opener is a key and a decision that opens a request with that id unless the
// binding has one.
func Opener(id, binding string) (gatekeeper.OpenKey, func(gatekeeper.OpenView) (gatekeeper.Change, error)) {
	return OpenerOf("1", id, binding)
}

// OpenerOf is an Opener for a repository.
func OpenerOf(repository, id, binding string) (gatekeeper.OpenKey, func(gatekeeper.OpenView) (gatekeeper.Change, error)) {
	w := gatekeeper.Workload{IssuerURL: "https://issuer", RepositoryID: repository, Claims: map[string]any{"n": 12345678901234567}}
	return gatekeeper.OpenKey{Binding: binding, Repository: gatekeeper.RepositoryKey(w)}, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
		if v.Existing != nil {
			return gatekeeper.Change{}, nil
		}
		r := gatekeeper.Request{ID: id, State: gatekeeper.Pending, Binding: binding, Environment: "production", CreatedAt: v.Now, Workload: w, Rule: gatekeeper.Rule{Name: "r"}}
		e := gatekeeper.Event{ID: "evt_" + id, Type: gatekeeper.EventRequestOpened, Time: v.Now, Request: id, State: gatekeeper.Pending}
		return gatekeeper.Change{Request: r, Events: []gatekeeper.Event{e}, Work: []gatekeeper.Work{{Kind: gatekeeper.WorkMessage, Key: id}}}, nil
	}
}

func mustOpen(t *testing.T, b Backend, id, binding string) gatekeeper.Request {
	t.Helper()
	key, decide := Opener(id, binding)
	r, err := b.Open(t.Context(), key, decide)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A hundred at once with one binding make one request.
func openOnce(t *testing.T, b Backend) {
	var wg sync.WaitGroup
	var made atomic.Int64
	for i := range 100 {
		wg.Go(func() {
			if r := mustOpen(t, b, fmt.Sprint("req_", i), "same"); r.ID != "" {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Fatalf("%d requests were made of one binding", made.Load())
	}
}

// Threats row 31: of a thousand that want the same, one gets it.
func compareAndSwap(t *testing.T, b Backend) {
	mustOpen(t, b, "req_1", "b")
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			_, err := b.Update(t.Context(), "req_1", func(old gatekeeper.Request, _ time.Time) (gatekeeper.Change, error) {
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
	if r, err := b.Get(t.Context(), "req_1"); won.Load() != 1 || err != nil || r.Version != 2 {
		t.Fatalf("%d of them got it, version %d, %v", won.Load(), r.Version, err)
	}
}

// Threats row 17: a jti belongs to the bytes that came with it first.
func tokenReplay(t *testing.T, b Backend) {
	token := gatekeeper.Token{ID: "j", ExpiresAt: time.Now().Add(time.Minute)}
	for _, c := range []struct {
		issuer, hash string
		code         gatekeeper.Code
	}{{"https://a", "a", ""}, {"https://a", "a", ""}, {"https://a", "b", gatekeeper.CodeInvalidToken}, {"https://b", "b", ""}} {
		token.Hash = c.hash
		if err := b.UseToken(t.Context(), c.issuer, token); gatekeeper.CodeOf(err) != c.code {
			t.Errorf("%s %s: %v, want %q", c.issuer, c.hash, err, c.code)
		}
	}
}

// A request that was opened for a deployment is found by its key beside what
// the binding finds, and is changed where it is found.
func held(t *testing.T, b Backend) {
	waiting := mustOpen(t, b, "req_1", "deployment:1")
	mustOpen(t, b, "req_2", "token")
	key, _ := Opener("", "token")
	key.Deployment = "deployment:1"
	open := func(decide func(gatekeeper.OpenView) (gatekeeper.Change, error)) gatekeeper.Request {
		t.Helper()
		r, err := b.Open(t.Context(), key, decide)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	adopted := open(func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
		if v.Held == nil || v.Held.ID != "req_1" || v.Existing == nil || v.Existing.ID != "req_2" || v.Pending != 2 {
			t.Errorf("found %+v", v)
		}
		r := *v.Held
		r.Digest, r.Deployment = "pinned", &gatekeeper.Held{Adopted: true}
		return gatekeeper.Change{Request: r}, nil
	})
	if adopted.ID != "req_1" || adopted.Version != waiting.Version+1 {
		t.Errorf("stored %s in version %d, want req_1 in %d", adopted.ID, adopted.Version, waiting.Version+1)
	}
	open(func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
		if v.Held == nil || v.Held.Digest != "pinned" || v.Held.Deployment == nil || !v.Held.Deployment.Adopted {
			t.Errorf("found again %+v", v.Held)
		}
		return gatekeeper.Change{}, nil
	})
	key.Binding, key.Deployment = "", ""
	open(func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
		if v.Held != nil || v.Existing != nil {
			t.Errorf("no key found %+v", v)
		}
		return gatekeeper.Change{}, nil
	})
}

// Threats row 41: what comes in twice is recorded once, with all it causes.
func once(t *testing.T, b Backend) {
	var firsts atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			e := gatekeeper.Event{ID: fmt.Sprint("evt_", i), Type: gatekeeper.EventRulesLoaded}
			first, err := b.Once(t.Context(), "delivery", time.Hour, gatekeeper.Change{Events: []gatekeeper.Event{e}})
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	if first, err := b.Once(t.Context(), "another", time.Hour, gatekeeper.Change{}); !first || err != nil || firsts.Load() != 1 {
		t.Fatalf("%d were the first of twenty; another key: %v, %v", firsts.Load(), first, err)
	}
}

func pendingIsCounted(t *testing.T, b Backend) {
	for want, id := range []string{"req_1", "req_2", "req_3"} {
		key, decide := Opener(id, id)
		if _, err := b.Open(t.Context(), key, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
			if v.Pending != want || v.Now.IsZero() {
				t.Errorf("%d are pending at %s, want %d", v.Pending, v.Now, want)
			}
			return decide(v)
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// older wants the pending requests before one, of its rule and environment.
func older(t *testing.T, b Backend) {
	var last gatekeeper.Request
	for i := range 3 {
		key, decide := Opener(fmt.Sprint("req_", i), fmt.Sprint(i))
		r, err := b.Open(t.Context(), key, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
			v.Now = v.Now.Add(time.Duration(i) * time.Second)
			return decide(v)
		})
		if err != nil {
			t.Fatal(err)
		}
		last = r
	}
	if found, err := b.Older(t.Context(), last); err != nil || len(found) != 2 {
		t.Fatalf("%d are older, %v", len(found), err)
	}
	last.Rule.Name = "other"
	if found, err := b.Older(t.Context(), last); err != nil || len(found) != 0 {
		t.Fatalf("%d of another rule, %v", len(found), err)
	}
}

func watch(t *testing.T, b Backend) {
	changed, stop := b.Watch("req_1")
	defer stop()
	mustOpen(t, b, "req_1", "b")
	<-changed
	mustOpen(t, b, "req_2", "c")
	select {
	case <-changed:
		t.Error("another request's change was told")
	default:
	}
}

// watchLedger wants a notice for each change with events, and none without.
func watchLedger(t *testing.T, b Backend) {
	changed, stop := b.Watch("")
	defer stop()
	if err := b.Record(t.Context(), gatekeeper.Change{Work: []gatekeeper.Work{{Kind: "a", Key: "k"}}}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
		t.Error("work alone was told as news of the ledger")
	default:
	}
	mustOpen(t, b, "req_1", "b")
	<-changed
}

// A decision that refuses changes nothing, and no change is no version.
func refusals(t *testing.T, b Backend) {
	mustOpen(t, b, "req_1", "b")
	for _, refuse := range []error{gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "no"), nil} {
		_, err := b.Update(t.Context(), "req_1", func(old gatekeeper.Request, _ time.Time) (gatekeeper.Change, error) {
			old.State = gatekeeper.Denied
			if refuse != nil {
				return gatekeeper.Change{Request: old}, refuse
			}
			return gatekeeper.Change{}, nil
		})
		if gatekeeper.CodeOf(err) != gatekeeper.CodeOf(refuse) {
			t.Errorf("got %v, want %v", err, refuse)
		}
	}
	if r, err := b.Get(t.Context(), "req_1"); err != nil || r.State != gatekeeper.Pending || r.Version != 1 {
		t.Errorf("%s, version %d, %v", r.State, r.Version, err)
	}
}

func notFound(t *testing.T, b Backend) {
	if _, err := b.Get(t.Context(), "req_x"); gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
		t.Errorf("get: %v", err)
	}
	if _, err := b.Update(t.Context(), "req_x", func(r gatekeeper.Request, _ time.Time) (gatekeeper.Change, error) {
		return gatekeeper.Change{Request: r}, nil
	}); gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
		t.Errorf("update: %v", err)
	}
}

// Claims keep their numbers: rules must see the same value at each decision.
func numbers(t *testing.T, b Backend) {
	mustOpen(t, b, "req_1", "b")
	r, err := b.Get(t.Context(), "req_1")
	if err != nil || fmt.Sprint(r.Workload.Claims["n"]) != "12345678901234567" {
		t.Errorf("got %v, %v", r.Workload.Claims["n"], err)
	}
}

package ledger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func tlogIndex(n int64) int64 { return tlog.StoredHashIndex(0, n) }

// sign signs the book's present tree.
func sign(tb interface{ Fatal(...any) }, b *book, size int64) []byte {
	root, err := tlog.TreeHash(size, tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = b.hashes[x]
		}
		return out, nil
	}))
	if err != nil {
		tb.Fatal(err)
	}
	note, err := b.signer.Checkpoint(size, root)
	if err != nil {
		tb.Fatal(err)
	}
	return note
}

func (b *book) OfRequest(_ context.Context, id string, visit func(ledger.Leaf) error) error {
	return b.where(visit, func(l ledger.Leaf) bool { return l.Request == id })
}

func (b *book) OfType(_ context.Context, t gatekeeper.EventType, visit func(ledger.Leaf) error) error {
	return b.where(visit, func(l ledger.Leaf) bool { return l.Type == string(t) })
}

func (b *book) where(visit func(ledger.Leaf) error, fits func(ledger.Leaf) bool) error {
	for _, l := range b.leaves {
		if fits(l) {
			if err := visit(l); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *book) StoredHashes(_ context.Context, indexes []int64) ([][32]byte, error) {
	return b.read(indexes)
}

func (b *book) CheckpointCovering(_ context.Context, size int64) ([]byte, error) {
	for _, s := range b.sizes {
		if s >= size {
			return b.checkpoints[s], nil
		}
	}
	return nil, nil
}

func (b *book) NewestCheckpoint(ctx context.Context) ([]byte, error) {
	if len(b.sizes) == 0 {
		return nil, nil
	}
	return b.checkpoints[b.sizes[len(b.sizes)-1]], nil
}

// proven is the bundle of a request after a way through JSON.
func proven(tb interface{ Fatal(...any) }, b ledger.Proofs, request string) ledger.Bundle {
	made, err := ledger.Prove(context.Background(), b, request)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := json.Marshal(made)
	if err != nil {
		tb.Fatal(err)
	}
	read, err := ledger.ParseBundle(body)
	if err != nil {
		tb.Fatal(err)
	}
	return read
}

func TestBundle(t *testing.T) {
	b, keys := rotated(t)
	bundle := proven(t, b, "req_1")
	for i, key := range keys {
		r, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: key})
		if err != nil {
			t.Fatalf("key %d: %v", i+1, err)
		}
		if len(r.Events) != len(bundle.Events) || len(r.Events) < 3 || r.Head.Size != 11 || len(r.Keys) != 3-i || r.Keys[len(r.Keys)-1] != keys[2] {
			t.Errorf("key %d: %+v", i+1, r)
		}
	}
	if _, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: newBook(t, 8).key}); err == nil {
		t.Error("a foreign key was taken")
	}
	if _, err := ledger.Prove(t.Context(), b, "req_x"); gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
		t.Errorf("an unknown request: %v", err)
	}
	refuse := ledger.Checks{gatekeeper.EventVoteCounted: func(gatekeeper.Event) error { return fmt.Errorf("no") }}
	if _, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: keys[0], Checks: refuse}); err == nil {
		t.Error("a check was not asked")
	}
}

func TestBundleOfPruned(t *testing.T) {
	b := filled(t)
	pruned(t, b, 6)
	r, err := ledger.VerifyBundle(proven(t, b, "req_1"), ledger.BundleOptions{VerifierKey: b.key})
	if err != nil || r.Pruned != 2 || len(r.Events) != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// Each way of lying in a bundle is found.
func TestBundleTampering(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(*ledger.Bundle)
		want   string
	}{
		"changed event":      {func(b *ledger.Bundle) { b.Events[1].Body = strings.Replace(b.Events[1].Body, "U0BOB", "U0EVE", 1) }, "event 7: it is not part"},
		"moved event":        {func(b *ledger.Bundle) { b.Events[1].Index++ }, "event 8: it is not part"},
		"event twice":        {func(b *ledger.Bundle) { b.Events[1] = b.Events[0] }, "order"},
		"of another request": {func(b *ledger.Bundle) { b.Request = "req_2" }, `it belongs to request "req_1"`},
		"no events":          {func(b *ledger.Bundle) { b.Events = nil }, "no events"},
		"changed proof":      {func(b *ledger.Bundle) { b.Events[0].Proof[0][3] ^= 1 }, "event 1: it is not part"},
		"payload withheld":   {func(b *ledger.Bundle) { b.Events[0].Body = "" }, "neither its payload nor its hash"},
		"changed checkpoint": {func(b *ledger.Bundle) { b.Checkpoint = strings.Replace(b.Checkpoint, "\n11\n", "\n10\n", 1) }, "not signed"},
		"rotation changed": {func(b *ledger.Bundle) {
			b.Keys[0].Body = strings.Replace(b.Keys[0].Body, `"possession":"`, `"possession":"AAAA`, 1)
		}, "rotation 1"},
		"rotation withheld": {func(b *ledger.Bundle) { b.Keys = b.Keys[1:] }, "not signed by the ledger's key"},
		"other history":     {func(b *ledger.Bundle) { b.Keys[0].Consistency[0][0] ^= 1 }, "not the beginning"},
	} {
		b, keys := rotated(t)
		bundle := proven(t, b, "req_1")
		c.tamper(&bundle)
		if _, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: keys[0]}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// Every event of any ledger can be proven, and with one bit changed it can not.
func TestEveryEventIsProven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook(t, 1)
		for _, n := range rapid.SliceOfN(rapid.IntRange(1, 9), 1, 12).Draw(t, "batches") {
			b.add(t, n)
		}
		request := b.leaves[rapid.IntRange(0, len(b.leaves)-1).Draw(t, "leaf")].Request
		bundle := proven(t, b, request)
		if _, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: b.key}); err != nil {
			t.Fatal(err)
		}
		e := &bundle.Events[rapid.IntRange(0, len(bundle.Events)-1).Draw(t, "event")]
		e.Body = string(flip(t, []byte(e.Body)))
		if _, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: b.key}); err == nil {
			t.Fatal("a changed event was taken")
		}
	})
}

func FuzzBundle(f *testing.F) {
	b := newBook(f, 1)
	b.add(f, 3)
	body, err := json.Marshal(proven(f, b, "req_1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"type":"` + ledger.BundleType + `","events":[{"index":-1,"proof":[]}],"keys":[{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		bundle, err := ledger.ParseBundle(body)
		if err != nil {
			return
		}
		r, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: b.key})
		if err != nil {
			return
		}
		for i := range r.Events { // whatever the spelling, only what was recorded is proven
			if e := bundle.Events[i]; e.Body != "" && e.Body != string(b.leaves[e.Index].Body) {
				t.Fatalf("event %d is proven to be %q", e.Index, e.Body)
			}
		}
	})
}

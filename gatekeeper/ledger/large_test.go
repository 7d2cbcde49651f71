package ledger_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"golang.org/x/mod/sumdb/tlog"
)

// A ledger of n equal leaves has one hash at each level, so that one of ten
// million costs nothing to build; its proofs and their checks are real.
type uniform struct{ levels []tlog.Hash }

func newUniform(leaf []byte) uniform {
	u := uniform{[]tlog.Hash{tlog.RecordHash(leaf)}}
	for range 40 {
		h := u.levels[len(u.levels)-1]
		u.levels = append(u.levels, tlog.NodeHash(h, h))
	}
	return u
}

func (u uniform) read(indexes []int64) ([][32]byte, error) {
	out := make([][32]byte, len(indexes))
	for i, index := range indexes {
		level, _ := tlog.SplitStoredHashIndex(index)
		out[i] = u.levels[level]
	}
	return out, nil
}

// uniformBook is a ledger of n equal events of one request, of which a proof
// takes one.
type uniformBook struct {
	book
	tree  uniform
	at    int64
	body  []byte
	note  []byte
	reads int
}

func newUniformBook(tb interface{ Fatal(...any) }, n int64) *uniformBook {
	made := newBook(tb, 1)
	made.add(tb, 2)
	u := &uniformBook{book: *made, body: made.leaves[1].Body, at: n / 3}
	u.tree = newUniform(u.body)
	_, note, err := u.signer.Append(n-1, u.tree.read, [][]byte{u.body})
	if err != nil {
		tb.Fatal(err)
	}
	u.note = note
	return u
}

func (u *uniformBook) OfRequest(_ context.Context, id string, visit func(ledger.Leaf) error) error {
	return visit(ledger.Leaf{Index: u.at, Request: id, Body: u.body})
}

func (u *uniformBook) OfType(context.Context, gatekeeper.EventType, func(ledger.Leaf) error) error {
	return nil
}

func (u *uniformBook) StoredHashes(_ context.Context, indexes []int64) ([][32]byte, error) {
	u.reads += len(indexes)
	return u.tree.read(indexes)
}

func (u *uniformBook) NewestCheckpoint(context.Context) ([]byte, error) { return u.note, nil }

// At ten million events a proof has 24 hashes and reads a few dozen.
func TestProofOfTenMillion(t *testing.T) {
	u := newUniformBook(t, 1e7)
	bundle := proven(t, u, "req_1")
	if r, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: u.key}); err != nil || r.Head.Size != 1e7 {
		t.Fatalf("%+v, %v", r, err)
	}
	if n := len(bundle.Events[0].Proof); n != 24 || u.reads > 100 {
		t.Errorf("%d hashes, %d reads", n, u.reads)
	}
}

func BenchmarkProve(b *testing.B) {
	for _, size := range []int64{1e3, 1e4, 1e5, 1e6, 1e7} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			u := newUniformBook(b, size)
			n := 0
			for b.Loop() {
				n++
				if _, err := ledger.Prove(b.Context(), u, "req_1"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(u.reads)/float64(n), "reads/op")
		})
	}
}

func BenchmarkVerifyBundle(b *testing.B) {
	u := newUniformBook(b, 1e7)
	bundle, err := ledger.Prove(b.Context(), u, "req_1")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: u.key}); err != nil {
			b.Fatal(err)
		}
	}
}

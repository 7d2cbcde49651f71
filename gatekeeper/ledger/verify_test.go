package ledger_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

const origin = "gatekeeper.test/ledger"

// book is a ledger in memory that a test can tamper with.
type book struct {
	leaves      []ledger.Leaf
	hashes      [][32]byte
	checkpoints map[int64][]byte
	sizes       []int64
	states      map[string]gatekeeper.State
	key         string
	signer      *ledger.Signer
}

func key(tb interface{ Fatal(...any) }, seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
}

func newBook(tb interface{ Fatal(...any) }, seed byte) *book {
	k := key(tb, seed)
	signer, err := ledger.NewSigner(ledger.SignerOptions{Origin: origin, Key: k})
	if err != nil {
		tb.Fatal(err)
	}
	public, err := ledger.VerifierKey(origin, k)
	if err != nil {
		tb.Fatal(err)
	}
	return &book{checkpoints: map[int64][]byte{}, states: map[string]gatekeeper.State{}, key: public, signer: signer}
}

// add appends events in one transaction.
func (b *book) add(tb interface{ Fatal(...any) }, n int) {
	size := int64(len(b.leaves))
	var bodies [][]byte
	for i := range n {
		e := gatekeeper.Event{
			ID: fmt.Sprintf("evt_%d", size+int64(i)), Type: gatekeeper.EventVoteCounted, Time: time.Unix(1700000000+size+int64(i), 0).UTC(),
			Request: fmt.Sprintf("req_%d", (size+int64(i))%3), State: gatekeeper.Pending, Actor: gatekeeper.Actor{Kind: "person", ID: "slack:U0BOB"},
		}
		body, err := json.Marshal(e)
		if err != nil {
			tb.Fatal(err)
		}
		bodies = append(bodies, body)
		b.leaves = append(b.leaves, ledger.Leaf{Index: size + int64(i), ID: e.ID, Type: string(e.Type), Request: e.Request, Time: e.Time, Body: body})
		b.states[e.Request] = e.State
	}
	fresh, checkpoint, err := b.signer.Append(size, b.read, bodies)
	if err != nil {
		tb.Fatal(err)
	}
	b.hashes = append(b.hashes, fresh...)
	b.sizes = append(b.sizes, int64(len(b.leaves)))
	b.checkpoints[int64(len(b.leaves))] = checkpoint
}

func (b *book) read(indexes []int64) ([][32]byte, error) {
	out := make([][32]byte, len(indexes))
	for i, index := range indexes {
		out[i] = b.hashes[index]
	}
	return out, nil
}

func (b *book) Leaves(_ context.Context, from int64, visit func(ledger.Leaf) error) error {
	for _, l := range b.leaves {
		if l.Index >= from {
			if err := visit(l); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *book) Hashes(_ context.Context, visit func(int64, [32]byte) error) error {
	for i, h := range b.hashes {
		if err := visit(int64(i), h); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) Checkpoints(_ context.Context, visit func(int64, []byte) error) error {
	for _, size := range b.sizes {
		if err := visit(size, b.checkpoints[size]); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) States(_ context.Context, visit func(string, gatekeeper.State) error) error {
	for id, s := range b.states {
		if err := visit(id, s); err != nil {
			return err
		}
	}
	return nil
}

func filled(tb interface{ Fatal(...any) }) *book {
	b := newBook(tb, 1)
	for _, n := range []int{1, 3, 1, 2, 4, 1, 1} {
		b.add(tb, n)
	}
	return b
}

func TestVerify(t *testing.T) {
	b := filled(t)
	r, err := ledger.Verify(t.Context(), b, ledger.VerifyOptions{VerifierKey: b.key, Outside: [][]byte{b.checkpoints[4], b.checkpoints[13]}})
	if err != nil || r.Events != 13 || r.Checkpoints != 9 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err := ledger.Verify(t.Context(), newBook(t, 1), ledger.VerifyOptions{VerifierKey: b.key}); err != nil || r.Events != 0 {
		t.Fatalf("an empty ledger: %+v, %v", r, err)
	}
}

// Threats row 45: each way of tampering is found, and the first event that
// does not hold is named.
func TestTampering(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(*book)
		want   string
	}{
		"changed event": {func(b *book) {
			b.leaves[5].Body = []byte(strings.Replace(string(b.leaves[5].Body), "U0BOB", "U0EVE", 1))
		}, "event 5 (evt_5)"},
		"changed column": {func(b *book) { b.leaves[5].Request = "req_9" }, "event 5 (evt_5)"},
		"removed event":  {func(b *book) { b.leaves = append(b.leaves[:5:5], b.leaves[6:]...) }, "event 5: the event is missing"},
		"removed and renumbered": {func(b *book) {
			b.leaves = append(b.leaves[:5:5], b.leaves[6:]...)
			for i := range b.leaves {
				b.leaves[i].Index = int64(i)
			}
		}, "event 5 (evt_6)"},
		"swapped events": {func(b *book) {
			b.leaves[5], b.leaves[6] = b.leaves[6], b.leaves[5]
			b.leaves[5].Index, b.leaves[6].Index = 5, 6
		}, "event 5 (evt_6)"},
		"cut tail":              {func(b *book) { b.leaves = b.leaves[:11] }, "the tail is cut"},
		"cut tail, checkpoints": {func(b *book) { b.leaves, b.sizes = b.leaves[:11], b.sizes[:5] }, "more hashes are stored"},
		"changed hash":          {func(b *book) { b.hashes[3][0] ^= 1 }, "event 2"},
		"rewritten with its hashes": {func(b *book) {
			other := newBook(t, 1)
			other.add(t, 13)
			other.leaves[7].Body = []byte(strings.Replace(string(other.leaves[7].Body), "U0BOB", "U0EVE", 1))
			rehash(t, other)
			b.leaves, b.hashes = other.leaves, other.hashes
		}, "event 10 (evt_10)"},
		"changed checkpoint": {func(b *book) { b.checkpoints[4][30] ^= 1 }, "is not signed"},
		"other key":          {func(b *book) { *b = *withKey(t, b, 2) }, "is not signed"},
		"unsigned tail":      {func(b *book) { b.sizes = b.sizes[:len(b.sizes)-1] }, "no signed checkpoint covers the last events"},
		"request changed":    {func(b *book) { b.states["req_1"] = gatekeeper.Approved }, "request req_1 is stored as approved"},
		"request invented":   {func(b *book) { b.states["req_x"] = gatekeeper.Approved }, "request req_x"},
		"no event at all":    {func(b *book) { b.leaves[0].Body = []byte("{") }, "event 0"},
	} {
		t.Run(name, func(t *testing.T) {
			b := filled(t)
			public := b.key
			c.tamper(b)
			_, err := ledger.Verify(t.Context(), b, ledger.VerifyOptions{VerifierKey: public})
			var fault *ledger.Fault
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A history that was rewritten whole, signed with the stolen key, differs
// from a checkpoint that was kept outside.
func TestForkedHistory(t *testing.T) {
	b := filled(t)
	forked := newBook(t, 1)
	forked.add(t, 2)
	forked.add(t, 11)
	_, err := ledger.Verify(t.Context(), forked, ledger.VerifyOptions{VerifierKey: b.key, Outside: [][]byte{b.checkpoints[13]}})
	if err != nil {
		t.Fatalf("the same events are the same history: %v", err)
	}
	other := newBook(t, 1)
	other.add(t, 13)
	other.leaves[2].Body = []byte(strings.Replace(string(other.leaves[2].Body), "U0BOB", "U0EVE", 1))
	resigned := newBook(t, 1)
	resigned.leaves = other.leaves
	rehash(t, resigned)
	root, err := tlog.TreeHash(13, tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = resigned.hashes[x]
		}
		return out, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	resigned.sizes = []int64{13}
	if resigned.checkpoints[13], err = resigned.signer.Checkpoint(13, root); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(t.Context(), onlyTree{resigned}, ledger.VerifyOptions{VerifierKey: b.key}); err != nil {
		t.Fatalf("by itself the forged history holds: %v", err)
	}
	if _, err := ledger.Verify(t.Context(), onlyTree{resigned}, ledger.VerifyOptions{VerifierKey: b.key, Outside: [][]byte{b.checkpoints[13]}}); err == nil || !strings.Contains(err.Error(), "kept outside") {
		t.Fatalf("got %v", err)
	}
}

// onlyTree hides the requests' states.
type onlyTree struct{ ledger.Source }

func rehash(tb interface{ Fatal(...any) }, b *book) {
	b.hashes = nil
	stored := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = b.hashes[x]
		}
		return out, nil
	})
	for i, l := range b.leaves {
		fresh, err := tlog.StoredHashes(int64(i), l.Body, stored)
		if err != nil {
			tb.Fatal(err)
		}
		for _, h := range fresh {
			b.hashes = append(b.hashes, h)
		}
	}
}

func withKey(tb interface{ Fatal(...any) }, _ *book, seed byte) *book {
	b := newBook(tb, seed)
	b.add(tb, 13)
	return b
}

// Whatever single byte of whatever is stored changes, it is found.
func TestEveryByteCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := filled(t)
		switch rapid.IntRange(0, 2).Draw(t, "what") {
		case 0:
			l := &b.leaves[rapid.IntRange(0, 12).Draw(t, "leaf")]
			l.Body = flip(t, l.Body)
		case 1:
			b.hashes[rapid.IntRange(0, len(b.hashes)-1).Draw(t, "hash")][rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case 2:
			size := rapid.SampledFrom(b.sizes).Draw(t, "checkpoint")
			b.checkpoints[size] = flip(t, b.checkpoints[size])
		}
		if _, err := ledger.Verify(context.Background(), b, ledger.VerifyOptions{VerifierKey: b.key}); err == nil {
			t.Fatal("a changed byte was not found")
		}
	})
}

func flip(t *rapid.T, body []byte) []byte {
	changed := append([]byte(nil), body...)
	changed[rapid.IntRange(0, len(body)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	return changed
}

// The zero signer refuses, so nothing is recorded without a key.
func TestNoKey(t *testing.T) {
	if _, _, err := new(ledger.Signer).Append(0, nil, [][]byte{{1}}); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.pem")
	first, err := ledger.LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ledger.LoadOrCreateKey(path); err != nil || !first.Equal(again) {
		t.Errorf("the key changed: %v", err)
	}
}

// An append reads a logarithmic number of hashes, however long the ledger is.
func BenchmarkAppend(b *testing.B) {
	book := newBook(b, 1)
	for _, size := range []int64{1e3, 1e4, 1e5, 1e6, 1e7} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			reads := 0
			read := func(indexes []int64) ([][32]byte, error) {
				reads += len(indexes)
				return make([][32]byte, len(indexes)), nil
			}
			n := 0
			for b.Loop() {
				n++
				if _, _, err := book.signer.Append(size, read, [][]byte{[]byte("{}")}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(reads)/float64(n), "reads/op")
		})
	}
}

package ledger_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

// append stores one event in a transaction of its own.
func (b *book) append(tb interface{ Fatal(...any) }, e gatekeeper.Event) error {
	size := int64(len(b.leaves))
	e.ID, e.Time = fmt.Sprintf("evt_%d", size), time.Unix(1700000000+size, 0).UTC()
	body, err := json.Marshal(e)
	if err != nil {
		tb.Fatal(err)
	}
	fresh, checkpoint, err := b.signer.Append(size, b.read, [][]byte{body})
	if err != nil {
		return err
	}
	b.leaves = append(b.leaves, ledger.Leaf{Index: size, ID: e.ID, Type: string(e.Type), Request: e.Request, Time: e.Time, Body: body})
	b.hashes = append(b.hashes, fresh...)
	b.sizes = append(b.sizes, size+1)
	b.checkpoints[size+1] = checkpoint
	return nil
}

// rotate rotates from one seed's key to another's.
func (b *book) rotate(tb interface{ Fatal(...any) }, from, to byte) string {
	r, err := ledger.NewRotation(origin, key(tb, from), key(tb, to))
	if err != nil {
		tb.Fatal(err)
	}
	if err := b.signer.Prepare(key(tb, to)); err != nil {
		tb.Fatal(err)
	}
	if err := b.append(tb, gatekeeper.Event{Type: gatekeeper.EventKeyRotated, Data: r.Data()}); err != nil {
		tb.Fatal(err)
	}
	return r.To
}

// rotated is a ledger with three keys.
func rotated(tb interface{ Fatal(...any) }) (b *book, keys []string) {
	b = newBook(tb, 1)
	b.add(tb, 4)
	second := b.rotate(tb, 1, 2)
	b.add(tb, 3)
	third := b.rotate(tb, 2, 3)
	b.add(tb, 2)
	return b, []string{b.key, second, third}
}

// Whichever of its keys is trusted, the ledger verifies whole, and the
// verifier says which key signed what.
func TestRotation(t *testing.T) {
	b, keys := rotated(t)
	for i, key := range keys {
		r, err := ledger.Verify(t.Context(), b, ledger.VerifyOptions{VerifierKey: key, Outside: [][]byte{b.checkpoints[4], b.checkpoints[5], b.checkpoints[11]}})
		if err != nil {
			t.Fatalf("key %d: %v", i+1, err)
		}
		if len(r.Keys) != 3 || r.Keys[0].Key != keys[0] || r.Keys[1].From != 5 || r.Keys[1].To != 9 || r.Keys[2].From != 9 || r.Keys[2].To != 11 || r.Keys[2].Checkpoints != 1 {
			t.Errorf("key %d: %+v", i+1, r.Keys)
		}
	}
	// What only the last key signed is not believed of an earlier one.
	for i, key := range keys[:2] {
		if _, err := ledger.OpenCheckpoint(b.checkpoints[11], key); err == nil {
			t.Errorf("key %d signed after its time", i+1)
		}
	}
}

// One rotation right after the other.
func TestRotationTwice(t *testing.T) {
	b := newBook(t, 1)
	b.add(t, 1)
	b.rotate(t, 1, 2)
	last := b.rotate(t, 2, 3)
	b.add(t, 1)
	if r, err := ledger.Verify(t.Context(), b, ledger.VerifyOptions{VerifierKey: b.key}); err != nil || r.Keys[len(r.Keys)-1].Key != last {
		t.Fatalf("%+v, %v", r.Keys, err)
	}
}

// Another replica rotated: a signer follows with a key that it can have, and
// else signs nothing more.
func TestFollow(t *testing.T) {
	b, _ := rotated(t)
	last := b.leaves[8].Body
	for name, c := range map[string]struct {
		held []byte
		code gatekeeper.Code
	}{"the next key": {[]byte{2, 3}, ""}, "an older one": {[]byte{1, 2}, gatekeeper.CodeUnavailable}, "none": {nil, gatekeeper.CodeUnavailable}} {
		s, err := ledger.NewSigner(ledger.SignerOptions{Origin: origin, Key: key(t, 1), Held: func() (keys []ed25519.PrivateKey) {
			for _, seed := range c.held {
				keys = append(keys, key(t, seed))
			}
			return keys
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Follow(last); gatekeeper.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, body := range [][]byte{nil, last} {
		if err := b.signer.Follow(body); err != nil {
			t.Errorf("its own rotation: %v", err)
		}
	}
	if err := b.signer.Follow([]byte("{}")); err == nil {
		t.Error("what is no rotation was followed")
	}
}

// A rotation that was rolled back leaves the old key in force.
func TestRotationRolledBack(t *testing.T) {
	b := newBook(t, 1)
	b.add(t, 4)
	r, err := ledger.NewRotation(origin, key(t, 1), key(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(gatekeeper.Event{Type: gatekeeper.EventKeyRotated, Data: r.Data()})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.signer.Append(4, b.read, [][]byte{body}); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Fatalf("a rotation to a key that was not prepared: %v", err)
	}
	if err := b.signer.Prepare(key(t, 2)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.signer.Append(4, b.read, [][]byte{body}); err != nil {
		t.Fatal(err)
	}
	b.add(t, 1) // at the same size again: the append before was never committed
	if _, err := ledger.Verify(t.Context(), b, ledger.VerifyOptions{VerifierKey: b.key}); err != nil {
		t.Fatal(err)
	}
}

// Threats row 45, for keys: nobody gets in between.
func TestRotationTampering(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(*testing.T, *book)
		trust  int
		want   string
	}{
		"somebody else's key": {func(t *testing.T, b *book) {
			forged := newBook(t, 1)
			forged.add(t, 4)
			r, err := ledger.NewRotation(origin, key(t, 1), key(t, 9))
			if err != nil {
				t.Fatal(err)
			}
			forged.leaves = append(forged.leaves, rotationLeaf(t, r, 4))
			evil := newBook(t, 9)
			evil.leaves = forged.leaves
			rehash(t, evil)
			forged.hashes, forged.sizes, forged.checkpoints = evil.hashes, []int64{4, 5}, map[int64][]byte{4: forged.checkpoints[4], 5: sign(t, evil, 5)}
			*b = *forged
		}, 0, "event 4 (evt_4): the stored checkpoint of size 5 is not signed"},
		"key without its holder": {func(t *testing.T, b *book) {
			b.leaves[4].Body = []byte(strings.Replace(string(b.leaves[4].Body), `"possession":"`, `"possession":"AAAA`, 1))
		}, 0, "event 4 (evt_4): the rotation"},
		"rotation removed":      {func(_ *testing.T, b *book) { b.leaves[4] = b.leaves[3]; b.leaves[4].Index = 4 }, 0, "event 4"},
		"key of another ledger": {func(t *testing.T, b *book) {}, -1, "is not signed by the ledger's key"},
		"its checkpoint removed": {func(_ *testing.T, b *book) {
			b.sizes = append(b.sizes[:1:1], b.sizes[2:]...)
		}, 0, "event 7 (evt_7): the stored checkpoint of size 8 is not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			b, keys := rotated(t)
			trusted := newBook(t, 77).key
			if c.trust >= 0 {
				trusted = keys[c.trust]
			}
			c.tamper(t, b)
			_, err := ledger.Verify(t.Context(), b, ledger.VerifyOptions{VerifierKey: trusted})
			var fault *ledger.Fault
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func rotationLeaf(t *testing.T, r ledger.Rotation, index int64) ledger.Leaf {
	return leafOf(t, gatekeeper.Event{ID: fmt.Sprintf("evt_%d", index), Type: gatekeeper.EventKeyRotated, Time: time.Unix(1700000000, 0).UTC(), Data: r.Data()}, index)
}

// pruned blanks the payloads before an index, as the store does it, and
// records that first.
func pruned(t *testing.T, b *book, before int64) {
	t.Helper()
	p := ledger.Pruning{Before: time.Unix(1700000000+before, 0), BeforeIndex: before}
	if err := b.append(t, gatekeeper.Event{Type: gatekeeper.EventPruned, Data: p.Data()}); err != nil {
		t.Fatal(err)
	}
	for i := range b.leaves[:before] {
		b.leaves[i].Body = nil
	}
	b.states = map[string]gatekeeper.State{}
}

func TestVerifyPruned(t *testing.T) {
	b := filled(t)
	pruned(t, b, 6)
	o := ledger.VerifyOptions{VerifierKey: b.key, Outside: [][]byte{b.checkpoints[4]}}
	// A hash alone is only held against what is made of it: events 2 and 3 are
	// siblings in the tree.
	if r, err := ledger.Verify(t.Context(), b, o); err != nil || r.Pruned != 6 || r.Events != 14 {
		t.Fatalf("%+v, %v", r, err)
	}
	for name, c := range map[string]struct {
		tamper func(*book)
		want   string
	}{
		"another payload removed": {func(b *book) { b.leaves[8].Body = nil }, "event 8 (evt_8): its payload is gone"},
		"hash of a pruned event":  {func(b *book) { b.hashes[tlogIndex(2)][0] ^= 1 }, "event 3"},
		"hash removed":            {func(b *book) { b.hashes = append(b.hashes[:tlogIndex(2):tlogIndex(2)], b.hashes[tlogIndex(2)+1:]...) }, "event 3"},
	} {
		b := filled(t)
		pruned(t, b, 6)
		c.tamper(b)
		if _, err := ledger.Verify(t.Context(), b, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// A check by the type of event sees each one, in order, and what it refuses
// does not hold: e.g. a changed signature inside an event.
func TestChecks(t *testing.T) {
	b := filled(t)
	n := 0
	checks := ledger.Checks{gatekeeper.EventVoteCounted: func(e gatekeeper.Event) error {
		if n++; e.ID == "evt_7" {
			return errors.New("its passkey did not sign this")
		}
		return nil
	}}
	_, err := ledger.Verify(t.Context(), b, ledger.VerifyOptions{VerifierKey: b.key, Checks: checks})
	if err == nil || err.Error() != "event 7 (evt_7): its passkey did not sign this" || n != 8 {
		t.Errorf("after %d events: %v", n, err)
	}
}

package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/tlog"
)

// verification is the pass over the leaves. The stored hashes and checkpoints
// are read beside them, one by one: a ledger may not fit into memory.
type verification struct {
	ctx     context.Context // of this one pass
	o       VerifyOptions
	horizon horizon
	chain   *chain
	hashes  *beside[int64, [32]byte]
	notes   *beside[int64, []byte]
	outside []outsideHead
	edge    edge
	size    int64
	states  map[string]gatekeeper.State
	pruned  Leaf // the last one of which only the hash is left
	allowed int64
	report  Report
}

// outsideHead is a checkpoint kept elsewhere, by the size that it claims.
type outsideHead struct {
	size int64
	note []byte
}

func newVerification(ctx context.Context, src Source, o VerifyOptions, first string) (*verification, error) {
	h, err := newHorizon(ctx, src)
	if err != nil {
		return nil, err
	}
	v := &verification{ctx: ctx, o: o, horizon: h, chain: newChain(first), states: map[string]gatekeeper.State{}}
	v.hashes = readBeside(func(visit func(int64, [32]byte) error) error { return src.Hashes(ctx, visit) })
	v.notes = readBeside(func(visit func(int64, []byte) error) error { return src.Checkpoints(ctx, visit) })
	for _, note := range o.Outside {
		h, err := ReadHead(note)
		if err != nil {
			h.Size = 0 // refused at once, when its signature is looked at
		}
		v.outside = append(v.outside, outsideHead{h.Size, note})
	}
	sort.SliceStable(v.outside, func(i, j int) bool { return v.outside[i].size < v.outside[j].size })
	return v, nil
}

func (v *verification) stop() {
	v.hashes.stop()
	v.notes.stop()
}

func (v *verification) leaf(l Leaf) error {
	if l.Index >= v.horizon.size {
		v.horizon.later = &l
		return errEnough
	}
	if l.Index != v.size {
		return &Fault{Index: v.size, What: fmt.Sprintf("the event is missing: the next one stored is %d", l.Index)}
	}
	if err := v.outsideAt(l); err != nil { // those of the empty tree
		return err
	}
	first := tlog.StoredHashCount(v.size)
	hash, err := v.content(l, first)
	if err != nil {
		return err
	}
	hashes, err := tlog.StoredHashesForRecordHash(v.size, hash, &v.edge)
	if err != nil {
		return err
	}
	for i, hash := range hashes {
		if i > 0 || !l.Pruned() { // a pruned leaf's own hash was just read
			if err := v.isStored(l, first+int64(i), hash); err != nil {
				return err
			}
		}
		v.edge.put(first+int64(i), hash)
	}
	v.size++
	v.report.Last = l.Time
	if err := v.storedAt(l); err != nil {
		return err
	}
	return v.outsideAt(l)
}

func (v *verification) isStored(l Leaf, index int64, hash tlog.Hash) error {
	at, stored, ok := v.hashes.take()
	if v.hashes.err != nil {
		return v.hashes.err
	}
	if !ok || at != index || stored != [32]byte(hash) {
		return &Fault{Index: l.Index, ID: l.ID, What: "it is not what was recorded: its hash differs from the stored one"}
	}
	return nil
}

// content is the leaf's hash, after what the event says was looked at.
func (v *verification) content(l Leaf, first int64) (tlog.Hash, error) {
	if l.Pruned() {
		return v.prunedHash(l, first)
	}
	e, err := parsed(l)
	if err != nil {
		return tlog.Hash{}, err
	}
	if e.Request != "" && e.State != "" {
		v.states[e.Request] = e.State
	}
	switch e.Type {
	case gatekeeper.EventKeyRotated:
		r, err := rotationOf(l.Body, nameOf(v.o.VerifierKey))
		if err == nil {
			err = v.chain.rotate(r)
		}
		if err != nil {
			return tlog.Hash{}, &Fault{Index: l.Index, ID: l.ID, What: "the rotation of the ledger's key does not hold: " + describe(err)}
		}
	case gatekeeper.EventPruned:
		v.allowed = max(v.allowed, pruningOf(e).BeforeIndex)
	}
	if check, ok := v.o.Checks[e.Type]; ok {
		if err := check(e); err != nil {
			return tlog.Hash{}, &Fault{Index: l.Index, ID: l.ID, What: describe(err)}
		}
	}
	return tlog.RecordHash(l.Body), nil
}

// prunedHash is the hash that is left of a pruned event. It is held against
// the tree as any other; that it was pruned at all has to be in the ledger,
// which is known at the end.
func (v *verification) prunedHash(l Leaf, first int64) (tlog.Hash, error) {
	at, hash, ok := v.hashes.take()
	if v.hashes.err != nil {
		return tlog.Hash{}, v.hashes.err
	}
	if !ok || at != first {
		return tlog.Hash{}, &Fault{Index: l.Index, ID: l.ID, What: "neither the event nor its hash is stored"}
	}
	v.pruned, v.report.Pruned = l, v.report.Pruned+1
	return tlog.Hash(hash), nil
}

// parsed holds the columns that events are found by against the bytes that
// were hashed.
func parsed(l Leaf) (gatekeeper.Event, error) {
	var e gatekeeper.Event
	if err := json.Unmarshal(l.Body, &e); err != nil {
		return e, &Fault{Index: l.Index, ID: l.ID, What: "it is no event: " + err.Error()}
	}
	if e.ID != l.ID || string(e.Type) != l.Type || e.Request != l.Request || !e.Time.Equal(l.Time) {
		return e, &Fault{Index: l.Index, ID: l.ID, What: "its id, type, request or time differ from the recorded event's"}
	}
	return e, nil
}

// storedAt verifies the ledger's own checkpoints of the present size.
func (v *verification) storedAt(l Leaf) error {
	for {
		size, note, ok := v.notes.peek()
		if v.notes.err != nil {
			return v.notes.err
		}
		if !ok || size > v.size {
			return nil
		}
		v.notes.drop()
		if size < v.size {
			continue // a checkpoint of size 0 says nothing
		}
		head, err := v.chain.stored(note)
		if err != nil {
			return &Fault{Index: l.Index, ID: l.ID, What: fmt.Sprintf("the stored checkpoint of size %d is not signed by the ledger's key", size)}
		}
		if head.Size != size {
			return &Fault{Index: l.Index, ID: l.ID, What: fmt.Sprintf("the checkpoint stored for size %d is one of size %d", size, head.Size)}
		}
		if err := v.passes(head, "the signed checkpoint", l); err != nil {
			return err
		}
		v.report.Root = head.Root
	}
}

// outsideAt verifies the checkpoints kept elsewhere of the present size.
func (v *verification) outsideAt(l Leaf) error {
	for len(v.outside) > 0 && v.outside[0].size <= v.size {
		head, err := v.chain.outside(v.outside[0].note)
		if err != nil {
			return &Fault{Index: -1, What: "a checkpoint kept outside is not signed by the ledger's key"}
		}
		v.outside = v.outside[1:]
		if err := v.passes(head, "the checkpoint kept outside", l); err != nil {
			return err
		}
	}
	return nil
}

// passes holds a tree head against the tree of the leaves so far.
func (v *verification) passes(h Head, whose string, l Leaf) error {
	root, err := tlog.TreeHash(v.size, &v.edge)
	if err != nil {
		return err
	}
	if h.Root != [32]byte(root) {
		return &Fault{Index: l.Index, ID: l.ID, What: fmt.Sprintf("the history up to here is not the one of %s of size %d", whose, h.Size)}
	}
	v.report.Checkpoints++
	return nil
}

// describe is an error as it is told to people.
func describe(err error) string {
	var coded *gatekeeper.Error
	if errors.As(err, &coded) {
		return coded.Description
	}
	return err.Error()
}

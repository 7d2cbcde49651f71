package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sort"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/tlog"
)

// Leaf is one event as it is stored: Body is exactly what was hashed, the
// other fields are the store's own columns for finding it.
type Leaf struct {
	Index   int64
	ID      string
	Type    string
	Request string
	Time    time.Time
	Body    []byte
}

// Source is a stored ledger to read. Each method visits in ascending order
// and stops at the first error of visit.
type Source interface {
	// Leaves visits events with an index of at least from.
	Leaves(ctx context.Context, from int64, visit func(Leaf) error) error
	// Hashes visits the stored hashes, by tlog's storage index.
	Hashes(ctx context.Context, visit func(index int64, hash [32]byte) error) error
	// Checkpoints visits the signed checkpoints by size.
	Checkpoints(ctx context.Context, visit func(size int64, checkpoint []byte) error) error
}

// States is a Source that also knows the requests' stored states, so that a
// request changed behind the ledger's back is found.
type States interface {
	// States visits each stored request's id and state.
	States(ctx context.Context, visit func(id string, state gatekeeper.State) error) error
}

// VerifyOptions say whom to believe.
type VerifyOptions struct {
	VerifierKey string   // see VerifierKey; needed
	Outside     [][]byte // checkpoints that were kept elsewhere; each has to be part of this history
}

// Report is what held.
type Report struct {
	Events      int64
	Checkpoints int
	Root        [32]byte
	Last        time.Time // the last event's time
}

// Fault is the first thing that does not hold.
type Fault struct {
	Index int64  // of the event; -1: no single event
	ID    string // of the event, where it can be told
	What  string
}

// Error names the event and what is wrong with it.
func (f *Fault) Error() string {
	if f.Index < 0 {
		return f.What
	}
	if f.ID == "" {
		return fmt.Sprintf("event %d: %s", f.Index, f.What)
	}
	return fmt.Sprintf("event %d (%s): %s", f.Index, f.ID, f.What)
}

// Verify recomputes everything from the events' bytes and compares it with
// the stored hashes, with every checkpoint, with the checkpoints kept
// outside, and with the requests' states. It returns a *Fault for what does
// not hold, naming the first event; any other error is a failure to read. It
// reads everything once and holds O(log n) hashes, and the requests' states.
func Verify(ctx context.Context, src Source, o VerifyOptions) (Report, error) {
	heads, err := heads(ctx, src, o)
	if err != nil {
		return Report{}, err
	}
	stored := pull(ctx, src)
	defer stored.stop()
	v := &verification{heads: heads, stored: stored, states: map[string]gatekeeper.State{}}
	if err := src.Leaves(ctx, 0, v.leaf); err != nil {
		return Report{}, err
	}
	if err := v.finish(); err != nil {
		return Report{}, err
	}
	if s, ok := src.(States); ok {
		if err := s.States(ctx, v.state); err != nil {
			return Report{}, err
		}
	}
	return Report{Events: v.size, Checkpoints: v.checked, Root: v.root, Last: v.last}, nil
}

// head is a tree head that the history has to pass through.
type head struct {
	Head
	from string // whose checkpoint, for the fault
}

// heads verifies all signatures first: an unsigned checkpoint proves nothing.
func heads(ctx context.Context, src Source, o VerifyOptions) ([]head, error) {
	var all []head
	err := src.Checkpoints(ctx, func(size int64, checkpoint []byte) error {
		h, err := OpenCheckpoint(checkpoint, o.VerifierKey)
		if err != nil {
			return &Fault{Index: max(0, size-1), What: "the stored checkpoint of size " + fmt.Sprint(size) + " is not signed by the ledger's key"}
		}
		if h.Size != size {
			return &Fault{Index: max(0, size-1), What: fmt.Sprintf("the checkpoint stored for size %d is one of size %d", size, h.Size)}
		}
		all = append(all, head{h, "the signed checkpoint"})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, outside := range o.Outside {
		h, err := OpenCheckpoint(outside, o.VerifierKey)
		if err != nil {
			return nil, &Fault{Index: -1, What: "a checkpoint kept outside is not signed by the ledger's key"}
		}
		all = append(all, head{h, "the checkpoint kept outside"})
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Size < all[j].Size })
	return all, nil
}

// storedHashes are read beside the events, one by one: a ledger may not fit
// into memory.
type storedHashes struct {
	next func() (int64, [32]byte, bool)
	stop func()
	err  error
}

func pull(ctx context.Context, src Source) *storedHashes {
	s := &storedHashes{}
	s.next, s.stop = iter.Pull2(func(yield func(int64, [32]byte) bool) {
		enough := errors.New("enough")
		err := src.Hashes(ctx, func(index int64, hash [32]byte) error {
			if !yield(index, hash) {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			s.err = err
		}
	})
	return s
}

// is says whether the next stored hash is this one.
func (s *storedHashes) is(index int64, hash tlog.Hash) bool {
	at, stored, ok := s.next()
	return ok && at == index && stored == [32]byte(hash)
}

// verification is the pass over the leaves.
type verification struct {
	heads   []head
	stored  *storedHashes
	edge    edge
	size    int64
	checked int
	root    [32]byte
	last    time.Time
	states  map[string]gatekeeper.State
}

func (v *verification) leaf(l Leaf) error {
	if l.Index != v.size {
		return &Fault{Index: v.size, What: fmt.Sprintf("the event is missing: the next one stored is %d", l.Index)}
	}
	event, err := v.content(l)
	if err != nil {
		return err
	}
	hashes, err := tlog.StoredHashes(v.size, l.Body, &v.edge)
	if err != nil {
		return err
	}
	first := tlog.StoredHashCount(v.size)
	for i, hash := range hashes {
		if !v.stored.is(first+int64(i), hash) {
			if v.stored.err != nil {
				return v.stored.err
			}
			return &Fault{Index: l.Index, ID: l.ID, What: "it is not what was recorded: its hash differs from the stored one"}
		}
		v.edge.put(first+int64(i), hash)
	}
	v.size++
	v.last = event.Time
	if event.Request != "" && event.State != "" {
		v.states[event.Request] = event.State
	}
	return v.atHeads(l)
}

// content holds the columns that events are found by against the bytes that
// were hashed.
func (v *verification) content(l Leaf) (gatekeeper.Event, error) {
	var e gatekeeper.Event
	if err := json.Unmarshal(l.Body, &e); err != nil {
		return e, &Fault{Index: l.Index, ID: l.ID, What: "it is no event: " + err.Error()}
	}
	if e.ID != l.ID || string(e.Type) != l.Type || e.Request != l.Request || !e.Time.Equal(l.Time) {
		return e, &Fault{Index: l.Index, ID: l.ID, What: "its id, type, request or time differ from the recorded event's"}
	}
	return e, nil
}

// atHeads checks every tree head of the present size.
func (v *verification) atHeads(l Leaf) error {
	for len(v.heads) > 0 && v.heads[0].Size <= v.size {
		h := v.heads[0]
		v.heads = v.heads[1:]
		if h.Size < v.size {
			continue // a head of size 0 says nothing
		}
		root, err := tlog.TreeHash(v.size, &v.edge)
		if err != nil {
			return err
		}
		if h.Root != [32]byte(root) {
			return &Fault{Index: l.Index, ID: l.ID, What: fmt.Sprintf("the history up to here is not the one of %s of size %d", h.from, h.Size)}
		}
		v.checked, v.root = v.checked+1, root
	}
	return nil
}

func (v *verification) finish() error {
	if len(v.heads) > 0 {
		h := v.heads[0]
		return &Fault{Index: v.size, What: fmt.Sprintf("the tail is cut: %s covers %d events, and %d are stored", h.from, h.Size, v.size)}
	}
	root, err := tlog.TreeHash(v.size, &v.edge)
	if err != nil {
		return err
	}
	if v.size > 0 && v.root != [32]byte(root) {
		return &Fault{Index: v.size - 1, What: "no signed checkpoint covers the last events"}
	}
	if _, _, more := v.stored.next(); more {
		return &Fault{Index: v.size, What: fmt.Sprintf("more hashes are stored than belong to %d events: events were removed", v.size)}
	}
	return nil
}

func (v *verification) state(id string, state gatekeeper.State) error {
	if recorded, ok := v.states[id]; !ok || recorded != state {
		return &Fault{Index: -1, What: fmt.Sprintf("request %s is stored as %s, and the ledger last says %q", id, state, recorded)}
	}
	return nil
}

// edge keeps the hashes that later ones are made of: the tree's right edge.
type edge struct{ hashes map[int64]tlog.Hash }

func (e *edge) put(index int64, hash tlog.Hash) {
	if e.hashes == nil {
		e.hashes = map[int64]tlog.Hash{}
	}
	e.hashes[index] = hash
	// A completed node stands for its two children from now on.
	if level, n := tlog.SplitStoredHashIndex(index); level > 0 {
		delete(e.hashes, tlog.StoredHashIndex(level-1, 2*n))
		delete(e.hashes, tlog.StoredHashIndex(level-1, 2*n+1))
	}
}

// ReadHashes implements tlog.HashReader.
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := e.hashes[index]
		if !ok {
			return nil, fmt.Errorf("ledger: hash %d is not on the right edge", index)
		}
		out[i] = hash
	}
	return out, nil
}

package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Leaf is one event as it is stored: Body is exactly what was hashed, the
// other fields are the store's own columns for finding it.
type Leaf struct {
	Index   int64
	ID      string
	Type    string
	Request string
	Time    time.Time
	Body    []byte // empty: pruned, its hash alone is kept
}

// Pruned says whether the payload was replaced by its hash.
func (l Leaf) Pruned() bool { return len(l.Body) == 0 }

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

// Check holds the content of one event to more than its hash, e.g. the
// signature of a passkey that it carries. Events come in the ledger's order,
// each once, so a Check may remember what earlier ones said; take fresh ones
// for each verification. What it refuses does not hold.
type Check func(e gatekeeper.Event) error

// Checks are the checks by the type of event.
type Checks map[gatekeeper.EventType]Check

// VerifyOptions say whom to believe.
type VerifyOptions struct {
	// VerifierKey is any key of the ledger that is trusted, needed. The newest
	// is best: whoever stole a retired one can only tell another story to
	// those who begin at it.
	VerifierKey string
	Outside     [][]byte // checkpoints that were kept elsewhere; each has to be part of this history
	Checks      Checks
}

// Report is what held.
type Report struct {
	Events      int64
	Pruned      int64 // of them, those of which only the hash is left
	Checkpoints int   // stored and outside
	Root        [32]byte
	Last        time.Time // the last event's time
	Keys        []KeyUse  // which key signed what, in order
}

// KeyUse says what one key of the ledger was found to have signed.
type KeyUse struct {
	Key         string // verifier key
	From, To    int64  // the events that its checkpoints cover for the first time: From ≤ index < To
	Checkpoints int
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
// outside, and with the requests' states. It follows the ledger's key through
// its rotations. It returns a *Fault for what does not hold, naming the first
// event; any other error is a failure to read. It reads everything once and
// holds O(log n) hashes, and the requests' states. A ledger that is written to
// meanwhile (see Live) is verified up to where it was at the beginning.
func Verify(ctx context.Context, src Source, o VerifyOptions) (Report, error) {
	first, err := firstKey(ctx, src, o.VerifierKey)
	if err != nil {
		return Report{}, err
	}
	v, err := newVerification(ctx, src, o, first)
	if err != nil {
		return Report{}, err
	}
	defer v.stop()
	if err := src.Leaves(ctx, 0, v.leaf); err != nil && !errors.Is(err, errEnough) {
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
	return v.report, nil
}

package ledger

import (
	"context"
	"errors"
	"math"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Live is a Source that may grow while it is read. Everything up to its newest
// checkpoint at the beginning is verified; what comes later is only told from
// what somebody put there.
type Live interface {
	NewestCheckpoint(ctx context.Context) ([]byte, error)
	OfRequest(ctx context.Context, id string, visit func(Leaf) error) error
	OfType(ctx context.Context, t gatekeeper.EventType, visit func(Leaf) error) error
}

// horizon is how far a verification looks. What lies below it never changes,
// whoever appends meanwhile; so no two readings can contradict each other.
type horizon struct {
	live  Live  // nil: nobody writes
	size  int64 // of the newest checkpoint at the beginning
	later *Leaf // the first event beyond it
}

func newHorizon(ctx context.Context, src Source) (horizon, error) {
	live, ok := src.(Live)
	if !ok {
		return horizon{size: math.MaxInt64}, nil
	}
	size, err := newest(ctx, live)
	return horizon{live: live, size: size}, err
}

func newest(ctx context.Context, live Live) (int64, error) {
	note, err := live.NewestCheckpoint(ctx)
	if err != nil || note == nil {
		return 0, err
	}
	head, err := ReadHead(note)
	if err != nil {
		return math.MaxInt64, nil //nolint:nilerr // it is found as a stored checkpoint that is not signed
	}
	return head.Size, nil
}

// grew says whether the ledger was appended to since the beginning.
func (h horizon) grew(ctx context.Context) (bool, error) {
	if h.live == nil {
		return false, nil
	}
	size, err := newest(ctx, h.live)
	return size > h.size, err
}

// stateNow is what the events beyond the horizon say of a request last.
func (h horizon) stateNow(ctx context.Context, id string) (state gatekeeper.State, err error) {
	if h.live == nil {
		return "", nil
	}
	err = h.live.OfRequest(ctx, id, func(l Leaf) error {
		if l.Index < h.size {
			return nil
		}
		e, err := parsed(l)
		if e.State != "" {
			state = e.State
		}
		return err
	})
	return state, err
}

// prunedTo is up to where the events beyond the horizon allow pruning.
func (h horizon) prunedTo(ctx context.Context) (allowed int64, err error) {
	if h.live == nil {
		return 0, nil
	}
	err = h.live.OfType(ctx, gatekeeper.EventPruned, func(l Leaf) error {
		e, err := parsed(l)
		allowed = max(allowed, pruningOf(e).BeforeIndex)
		return err
	})
	var fault *Fault
	if errors.As(err, &fault) {
		return allowed, nil
	}
	return allowed, err
}

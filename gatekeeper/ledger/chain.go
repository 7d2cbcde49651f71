package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// chain follows the ledger's signing key through its rotations: a key is
// believed because the checkpoint that covers its rotation is signed by the
// key before it.
type chain struct {
	current string
	waiting []Rotation // seen, and not yet covered by a checkpoint
	known   []string   // all keys so far
	uses    []KeyUse
}

func newChain(first string) *chain {
	return &chain{current: first, known: []string{first}, uses: []KeyUse{{Key: first}}}
}

// rotate takes a rotation into account that a leaf told.
func (c *chain) rotate(r Rotation) error {
	last := c.current
	if n := len(c.waiting); n > 0 {
		last = c.waiting[n-1].To
	}
	if r.From != last {
		return fmt.Errorf("it rotates from %s, and the ledger's key is %s", r.From, last)
	}
	c.waiting = append(c.waiting, r)
	return nil
}

// stored verifies a checkpoint of the ledger itself, the one after the leaves
// seen so far: by the key in force, and by each key that the leaves rotated
// to, which are in force from then on.
func (c *chain) stored(checkpoint []byte) (Head, error) {
	head, err := OpenCheckpoint(checkpoint, c.current)
	if err != nil {
		return Head{}, err
	}
	c.used(head.Size)
	for _, r := range c.waiting {
		if _, err := OpenCheckpoint(checkpoint, r.To); err != nil {
			return Head{}, err
		}
		c.current, c.known = r.To, append(c.known, r.To)
		c.uses = append(c.uses, KeyUse{Key: r.To, From: head.Size, To: head.Size})
	}
	c.waiting = nil
	return head, nil
}

func (c *chain) used(size int64) {
	u := &c.uses[len(c.uses)-1]
	u.To, u.Checkpoints = size, u.Checkpoints+1
}

// outside verifies a checkpoint that was kept elsewhere. At a rotation it may
// carry either signature.
func (c *chain) outside(checkpoint []byte) (Head, error) {
	head, err := OpenCheckpoint(checkpoint, c.current)
	if err != nil && len(c.known) > 1 {
		return OpenCheckpoint(checkpoint, c.known[len(c.known)-2])
	}
	return head, err
}

// firstKey is the key that the ledger began with, for the trusted one: the
// same, or one that it rotated from. Nothing is believed here; Verify follows
// the chain and has to come by the trusted key.
func firstKey(ctx context.Context, src Source, trusted string) (string, error) {
	if _, err := PublicKey(trusted); err != nil {
		return "", err
	}
	begins, err := firstCheckpoint(ctx, src)
	if err != nil || begins == nil {
		return trusted, err
	}
	if _, err := OpenCheckpoint(begins, trusted); err == nil {
		return trusted, nil
	}
	rotations, err := rotations(ctx, src, nameOf(trusted))
	if err != nil || !slices.ContainsFunc(rotations, func(r Rotation) bool { return r.To == trusted }) {
		return trusted, err
	}
	return rotations[0].From, nil
}

var errEnough = errors.New("ledger: enough was read")

func firstCheckpoint(ctx context.Context, src Source) (first []byte, err error) {
	err = src.Checkpoints(ctx, func(_ int64, checkpoint []byte) error {
		first = bytes.Clone(checkpoint)
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return first, err
}

func rotations(ctx context.Context, src Source, origin string) (all []Rotation, err error) {
	err = src.Leaves(ctx, 0, func(l Leaf) error {
		if l.Type != string(gatekeeper.EventKeyRotated) {
			return nil
		}
		if r, err := rotationOf(l.Body, origin); err == nil {
			all = append(all, r)
		}
		return nil
	})
	return all, err
}

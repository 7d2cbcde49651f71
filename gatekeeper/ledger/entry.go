package ledger

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// ProvenEntry is one event with its proof in the tree of one checkpoint.
type ProvenEntry struct {
	ProvenEvent
	Checkpoint string
}

// ProveEvent proves the last event of a type of a request in the tree of the
// first checkpoint that covers it, so that it gives the same at each call.
func ProveEvent(ctx context.Context, src Proofs, request string, t gatekeeper.EventType) (ProvenEntry, error) {
	var found *Leaf
	if err := src.OfRequest(ctx, request, func(l Leaf) error {
		if l.Type == string(t) {
			found = &l
		}
		return nil
	}); err != nil {
		return ProvenEntry{}, err
	}
	if found == nil || found.Pruned() {
		return ProvenEntry{}, gatekeeper.Errorf(gatekeeper.CodeNotFound, "the ledger has no %s of request %s", t, request)
	}
	note, err := src.CheckpointCovering(ctx, found.Index+1)
	if err != nil {
		return ProvenEntry{}, err
	}
	head, err := ReadHead(note)
	if err != nil {
		return ProvenEntry{}, err
	}
	e, err := prover{ctx: ctx, src: src, head: head}.event(*found, head.Size)
	return ProvenEntry{e, string(note)}, err
}

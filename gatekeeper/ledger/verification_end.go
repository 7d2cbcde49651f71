package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/tlog"
)

// finish looks at what is only known at the end.
func (v *verification) finish() error {
	if err := v.outsideAt(Leaf{Index: -1}); err != nil {
		return err
	}
	if err := v.uncut(); err != nil {
		return err
	}
	root, err := tlog.TreeHash(v.size, &v.edge)
	if err != nil {
		return err
	}
	if v.size > 0 && v.report.Root != [32]byte(root) {
		return &Fault{Index: v.size - 1, What: "no signed checkpoint covers the last events"}
	}
	if err := v.nothingBeyond(); err != nil {
		return err
	}
	if err := v.prunedRightly(); err != nil {
		return err
	}
	if !slices.Contains(v.chain.known, v.o.VerifierKey) {
		return &Fault{Index: -1, What: "the ledger's keys do not lead to the trusted one"}
	}
	v.report.Events, v.report.Keys = v.size, v.chain.uses
	return errors.Join(v.hashes.err, v.notes.err)
}

// uncut wants an event for all that a checkpoint covers.
func (v *verification) uncut() error {
	cut := func(whose string, size int64) error {
		return &Fault{Index: v.size, What: fmt.Sprintf("the tail is cut: %s covers %d events, and %d are stored", whose, size, v.size)}
	}
	if size, _, ok := v.notes.peek(); ok && size > 0 && size <= v.horizon.size {
		return cut("the signed checkpoint", size)
	}
	if len(v.outside) > 0 {
		return cut("the checkpoint kept outside", v.outside[0].size)
	}
	return nil
}

// nothingBeyond refuses what no checkpoint covers, unless the ledger grew
// while it was read.
func (v *verification) nothingBeyond() error {
	_, _, more := v.hashes.take()
	later := v.horizon.later
	if !more && later == nil {
		return nil
	}
	if grew, err := v.horizon.grew(v.ctx); err != nil || grew {
		return err
	}
	if later != nil {
		return &Fault{Index: later.Index, ID: later.ID, What: "no signed checkpoint covers the last events"}
	}
	return &Fault{Index: v.size, What: fmt.Sprintf("more hashes are stored than belong to %d events: events were removed", v.size)}
}

func (v *verification) prunedRightly() error {
	if v.report.Pruned == 0 || v.pruned.Index < v.allowed {
		return nil
	}
	if allowed, err := v.horizon.prunedTo(v.ctx); err != nil || v.pruned.Index < allowed {
		return err
	}
	return &Fault{Index: v.pruned.Index, ID: v.pruned.ID, What: "its payload is gone, and the ledger records no pruning of it"}
}

func (v *verification) state(id string, state gatekeeper.State) error {
	recorded, ok := v.states[id]
	if ok && recorded == state {
		return nil
	}
	if now, err := v.horizon.stateNow(v.ctx, id); err != nil || now == state {
		return err // it changed while the ledger was read
	}
	return &Fault{Index: -1, What: fmt.Sprintf("request %s is stored as %s, and the ledger last says %q", id, state, recorded)}
}

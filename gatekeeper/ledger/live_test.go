package ledger_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

// busy is a ledger that is written to whenever it is read.
type busy struct {
	*book
	t *testing.T
}

func (b busy) Leaves(ctx context.Context, from int64, visit func(ledger.Leaf) error) error {
	before := *b.book
	b.add(b.t, 2)
	return before.Leaves(ctx, from, visit)
}

func (b busy) Hashes(ctx context.Context, visit func(int64, [32]byte) error) error {
	b.add(b.t, 1)
	return b.book.Hashes(ctx, visit)
}

func (b busy) Checkpoints(ctx context.Context, visit func(int64, []byte) error) error {
	b.add(b.t, 1)
	return b.book.Checkpoints(ctx, visit)
}

func (b busy) States(ctx context.Context, visit func(string, gatekeeper.State) error) error {
	e := gatekeeper.Event{Type: gatekeeper.EventRequestApproved, Request: "req_1", State: gatekeeper.Approved}
	if err := b.append(b.t, e); err != nil {
		return err
	}
	b.states["req_1"] = gatekeeper.Approved
	return b.book.States(ctx, visit)
}

// Who verifies beside a running service is told of faults only.
func TestVerifyWhileWritten(t *testing.T) {
	b := filled(t)
	if r, err := ledger.Verify(t.Context(), busy{b, t}, ledger.VerifyOptions{VerifierKey: b.key, Outside: [][]byte{b.checkpoints[13]}}); err != nil || r.Events < 13 {
		t.Fatalf("%+v, %v", r, err)
	}
	b.leaves[5].Body = []byte(strings.Replace(string(b.leaves[5].Body), "U0BOB", "U0EVE", 1))
	if _, err := ledger.Verify(t.Context(), busy{b, t}, ledger.VerifyOptions{VerifierKey: b.key}); err == nil || !strings.Contains(err.Error(), "event 5 (evt_5)") {
		t.Errorf("got %v", err)
	}
	b = filled(t)
	b.states["req_2"] = gatekeeper.Approved
	if _, err := ledger.Verify(t.Context(), b, ledger.VerifyOptions{VerifierKey: b.key}); err == nil || !strings.Contains(err.Error(), "req_2") {
		t.Errorf("got %v", err)
	}
}

package gatekeeper

import (
	"context"
	"time"
)

// Handlers are the work that the gate itself does after transactions: what
// the clock and newer runs do to requests.
func (g *Gate) Handlers() map[string]WorkHandler {
	return map[string]WorkHandler{
		WorkExpire:    g.expire,
		WorkSettle:    g.settleWork,
		WorkSupersede: g.supersedeOlder,
		WorkTakeBack:  g.takeBackWork,
	}
}

// expire comes back when an approval lapses, so that its message says so.
func (g *Gate) expire(ctx context.Context, w Work) error {
	// The times below are the store's: by another clock that is behind, work
	// would be due again at once, over and over.
	r, at, err := g.Expire(ctx, w.Key)
	switch {
	case CodeOf(err) == CodeNotFound:
		return nil
	case err != nil:
		return err
	case r.State == Pending:
		return g.Store.Record(ctx, Change{Work: []Work{expireWork(r.ID, r.ExpiresAt)}})
	case r.State != Approved:
		return nil
	case at.Before(r.RedeemBefore):
		return g.Store.Record(ctx, Change{Work: []Work{expireWork(r.ID, r.RedeemBefore)}})
	}
	work := []Work{messageWork(r.ID)}
	if end := r.lastEnd(); at.Before(end) { // until then its credentials can be revoked
		work = append(work, expireWork(r.ID, end))
	}
	return g.Store.Record(ctx, Change{Work: work})
}

func (g *Gate) settleWork(ctx context.Context, w Work) error {
	r, err := g.Settle(ctx, w.Key)
	if CodeOf(err) == CodeNotFound {
		return nil
	}
	for _, d := range r.Redemptions {
		if err == nil && d.State == RedemptionIntended {
			return g.Store.Record(ctx, Change{Work: []Work{{Kind: WorkSettle, Key: r.ID, RunAt: d.SettleBy.Add(time.Second)}}})
		}
	}
	return err
}

// supersedeOlder ends what older runs of the same rule and environment still
// ask: on_newer: supersede.
func (g *Gate) supersedeOlder(ctx context.Context, w Work) error {
	newer, err := g.Store.Get(ctx, w.Key)
	if CodeOf(err) == CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	older, err := g.Store.Older(ctx, newer)
	if err != nil {
		return err
	}
	for _, r := range older {
		if sameRun := r.Workload.RunID == newer.Workload.RunID && r.Workload.RunAttempt == newer.Workload.RunAttempt; sameRun {
			continue
		}
		if _, err := g.Supersede(ctx, r.ID, newer.ID); err != nil {
			return err
		}
	}
	return nil
}

package gatekeeper

import (
	"context"
	"time"
)

// Show is the request of the token's workload. With a Wait it answers as soon
// as the request changed, and at once when nothing is left to wait for.
func (g *Gate) Show(ctx context.Context, token, id string, wait Wait) (Request, error) {
	r, watch, err := g.Watch(ctx, token, id, wait)
	if err != nil || watch == nil {
		return r, err
	}
	news, err := watch.Next(ctx)
	if err != nil {
		return Request{}, err
	}
	return *news, nil
}

// own is the request if it belongs to the workload.
func (g *Gate) own(ctx context.Context, w Workload, id string) (Request, error) {
	r, err := g.Store.Get(ctx, id)
	if err != nil {
		return Request{}, err
	}
	return r, r.BelongsTo(w)
}

// Cancel withdraws the pending request of the token's workload.
func (g *Gate) Cancel(ctx context.Context, token, id string) (Request, error) {
	w, err := g.Verifier.Verify(ctx, token, "")
	if err != nil {
		return Request{}, err
	}
	return g.update(ctx, id, func(r Request, now time.Time) (Request, []Event, error) { return r.Cancel(w, now) })
}

// Expire does what the clock does to a request: ends it when nobody decided,
// and shows people when an approval lapsed. at is the store's time.
func (g *Gate) Expire(ctx context.Context, id string) (r Request, at time.Time, err error) {
	r, err = g.update(ctx, id, func(r Request, now time.Time) (Request, []Event, error) { at = now; return r.Expire(now) })
	return r, at, err
}

// Supersede ends a pending request that a newer run replaces; by is the newer
// request.
func (g *Gate) Supersede(ctx context.Context, id, by string) (Request, error) {
	return g.update(ctx, id, func(r Request, now time.Time) (Request, []Event, error) { return r.Supersede(by, now) })
}

// Settle turns redemptions that were left behind into unknown ones.
func (g *Gate) Settle(ctx context.Context, id string) (Request, error) {
	return g.update(ctx, id, func(r Request, now time.Time) (Request, []Event, error) {
		r, events := r.settleLeft(g.since(), now)
		return r, events, nil
	})
}

func (g *Gate) since() time.Time {
	if g.Sole {
		return g.Started
	}
	return time.Time{}
}

// update stores what a step of the state machine makes of the request; a step
// without events changes nothing.
func (g *Gate) update(ctx context.Context, id string, step func(Request, time.Time) (Request, []Event, error)) (Request, error) {
	var events []Event
	r, err := g.Store.Update(ctx, id, func(old Request, now time.Time) (Change, error) {
		next, happened, err := step(old, now)
		events = stamped(happened)
		if err != nil || len(events) == 0 {
			return Change{}, err
		}
		return Change{Request: next, Events: events, Work: append(followUp(old, next), homesWork(now))}, nil
	})
	if err == nil {
		g.told(ctx, r, events)
	}
	return r, err
}

// followUp is the work that a change of a request causes.
func followUp(old, next Request) []Work {
	work := tellWork(old, next)
	if next.owed() {
		work = append(work, Work{Kind: WorkTakeBack, Key: next.ID})
	}
	if end := next.lastEnd(); next.Told() && end.After(old.lastEnd()) {
		work = append(work, expireWork(next.ID, end))
	}
	if old.State == Pending && next.State == Approved {
		work = append(work, expireWork(next.ID, next.RedeemBefore))
	}
	if old.State != next.State {
		work = append(work, verdictWork(next)...)
	}
	if next.BrokenGlass && !old.BrokenGlass {
		work = append(work, Work{Kind: WorkBreakGlass, Key: next.ID})
	}
	return work
}

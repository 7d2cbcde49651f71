package gatekeeper

import (
	"context"
	"errors"
	"time"
)

// WorkTakeBack carries out the revocation of credentials. key: request id.
const WorkTakeBack = "credential.revoke"

const (
	// takeBackTries bounds how often a cloud that does not answer is asked:
	// after that people are told, who have other means.
	takeBackTries = 10
	// takeBackTime is what asking one cloud once may take.
	takeBackTime = 10 * time.Second
)

// TakeBack asks for the revocation of what a request handed out, for an
// operator of this gatekeeper. The clouds are asked afterwards, durably.
func (g *Gate) TakeBack(ctx context.Context, id string, by Actor, reason string) (Request, error) {
	return g.update(ctx, id, func(r Request, now time.Time) (Request, []Event, error) { return r.TakeBack(by, reason, now) })
}

// takeBackWork asks each cloud to revoke what it issued. Each answer is
// recorded by itself, so a cloud that is down holds nobody up.
func (g *Gate) takeBackWork(ctx context.Context, w Work) error {
	r, err := g.Store.Get(ctx, w.Key)
	if CodeOf(err) == CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	var later error
	for _, d := range r.Redemptions {
		if d.Taken == nil || d.Taken.State != RevocationRequested || d.State == RedemptionIntended {
			continue
		}
		got, err := g.take(ctx, r, d, w.Attempt >= takeBackTries)
		if err == nil {
			_, err = g.update(ctx, r.ID, func(r Request, now time.Time) (Request, []Event, error) { return r.Taken(d.ID, got, now) })
		}
		later = errors.Join(later, err)
	}
	return later
}

// take asks the cloud. An error means that it is to be asked again; the last
// time it becomes the outcome, which people see.
func (g *Gate) take(ctx context.Context, r Request, d Redemption, last bool) (Taken, error) {
	if !d.mayLive(g.Now()) {
		return Taken{State: RevocationDone, Detail: "it had ended by itself"}, nil
	}
	spec, ok := r.Credential(d.Credential)
	revoker, able := g.Exchanger.(Revoker)
	if !ok || !able {
		return Taken{State: RevocationFailed, Detail: "nothing here knows how it is taken back; it ends by itself"}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeBackTime)
	defer cancel()
	got, err := revoker.Revoke(ctx, spec, d)
	switch {
	case err == nil && got.Revoked:
		return Taken{State: RevocationDone, Detail: got.Detail, Todo: got.Todo}, nil
	case err == nil:
		return Taken{State: RevocationFailed, Detail: got.Detail, Todo: got.Todo}, nil
	case CodeOf(err) == CodeExchangeFailed || last:
		return Taken{State: RevocationFailed, Detail: description(err), Todo: got.Todo}, nil
	}
	g.Logger.WarnContext(ctx, "a credential could not be revoked yet", "request", r.ID, "redemption", d.ID, "error", err)
	return Taken{}, err
}

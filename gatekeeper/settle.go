package gatekeeper

import (
	"slices"
	"time"
)

// Result is how an intended redemption ended.
type Result struct {
	State  RedemptionState
	Detail string         // the assumed role, or the cloud's error; never a secret
	Data   map[string]any // more for the ledger: expiry, session, …

	Handle    string    // of what was handed out; see [Redemption]
	ExpiresAt time.Time // of what was handed out
}

// Settle records the result of an intended redemption. One that is settled
// already stays as it is: the first result recorded is the truth.
func (r Request) Settle(id string, res Result, now time.Time) (Request, []Event, error) {
	i := slices.IndexFunc(r.Redemptions, func(d Redemption) bool { return d.ID == id })
	if i < 0 {
		return r, nil, Errorf(CodeNotFound, "no redemption %s of request %s", id, r.ID)
	}
	if r.Redemptions[i].State != RedemptionIntended {
		return r, nil, Errorf(CodeExpired, "redemption %s is already %s", id, r.Redemptions[i].State)
	}
	r, event := r.settle(i, res, now)
	return r, []Event{event}, nil
}

func (r Request) settle(i int, res Result, now time.Time) (Request, Event) {
	r.Redemptions = slices.Clone(r.Redemptions)
	red := &r.Redemptions[i]
	red.State, red.Detail, red.Handle, red.ExpiresAt = res.State, res.Detail, res.Handle, res.ExpiresAt.UTC()
	names := map[RedemptionState]EventType{
		RedemptionSucceeded: EventRedemptionSucceeded,
		RedemptionFailed:    EventRedemptionFailed,
	}
	name, ok := names[res.State]
	if !ok {
		name = EventRedemptionUnknown
	}
	data := map[string]any{"redemption": red.ID, "credential": red.Credential, "job": red.Job, "detail": res.Detail}
	for key, value := range res.Data {
		data[key] = value
	}
	return r, r.event(name, now, ourselves("exchange"), data)
}

// settleLate turns intents that nobody settled in time into unknown ones: the
// gatekeeper stopped between asking the cloud and recording its answer
// (threats row 32). They are never silent and never count as failed.
func (r Request) settleLate(now time.Time) (Request, []Event) {
	var events []Event
	for i, d := range r.Redemptions {
		if d.State == RedemptionIntended && !now.Before(d.SettleBy) {
			var e Event
			r, e = r.settle(i, Result{State: RedemptionUnknown, Detail: "no result was recorded"}, now)
			events = append(events, e)
		}
	}
	return r, events
}

// settleLeft also does so with intents from before since, whose process is
// known to be gone.
func (r Request) settleLeft(since, now time.Time) (Request, []Event) {
	r.Redemptions = slices.Clone(r.Redemptions)
	for i, d := range r.Redemptions {
		if d.State == RedemptionIntended && d.At.Before(since) {
			r.Redemptions[i].SettleBy = now
		}
	}
	return r.settleLate(now)
}

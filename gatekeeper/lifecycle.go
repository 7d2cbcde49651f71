package gatekeeper

import "time"

// Cancel withdraws a pending request for its workload. Any other state stays:
// canceling twice, or too late, changes nothing.
func (r Request) Cancel(w Workload, now time.Time) (Request, []Event, error) {
	if err := r.BelongsTo(w); err != nil {
		return r, nil, err
	}
	if r.State != Pending {
		return r, nil, nil
	}
	return r.end(Canceled, EventRequestCanceled, workloadActor(w), now, nil)
}

// Expire ends a pending request whose time is over, and settles what was left
// behind; before that time it changes nothing.
func (r Request) Expire(now time.Time) (Request, []Event, error) {
	if r.State != Pending || now.Before(r.ExpiresAt) {
		return r, nil, nil
	}
	return r.end(Expired, EventRequestExpired, ourselves("clock"), now, nil)
}

// Supersede ends a pending request because a newer run of the same workflow
// asks for the same environment.
func (r Request) Supersede(by string, now time.Time) (Request, []Event, error) {
	if r.State != Pending {
		return r, nil, nil
	}
	return r.end(Superseded, EventRequestSuperseded, ourselves("rule:"+r.Rule.Name), now, map[string]any{"by": by})
}

func (r Request) end(s State, name EventType, by Actor, now time.Time, data map[string]any) (Request, []Event, error) {
	r.State = s
	r.DecidedAt = now
	return r, []Event{r.event(name, now, by, data)}, nil
}

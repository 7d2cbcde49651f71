package gatekeeper

import (
	"slices"
	"time"
)

// RevokeCredentials is the choice to take back what a redeemed request handed
// out. The request stays approved, and nothing more is handed out for it.
const RevokeCredentials Choice = "revoke_credentials"

// TakenBack says that somebody wanted the request's credentials revoked.
type TakenBack struct {
	By     Actor     `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// RevocationState is how far taking back a credential came.
type RevocationState string

// The states of a revocation. The zero value is that nobody asked for it.
const (
	RevocationRequested RevocationState = "requested"
	RevocationDone      RevocationState = "revoked"
	RevocationFailed    RevocationState = "failed" // the cloud did not, or revokes no such credential: Todo says what people can do
)

// Taken is what became of one credential that was to be taken back.
type Taken struct {
	State  RevocationState `json:"state"`
	Detail string          `json:"detail,omitempty"`
	Todo   string          `json:"todo,omitempty"` // ready to paste
	At     time.Time       `json:"at,omitzero"`
}

// longestSession is how long what an unknown attempt may have left behind can
// live: no cloud's session is longer here.
const longestSession = 12 * time.Hour

// mayLive says whether the redemption may have handed out something that
// still opens doors at now.
func (d Redemption) mayLive(now time.Time) bool {
	end := d.ExpiresAt
	if end.IsZero() {
		end = d.SettleBy.Add(longestSession)
	}
	return d.State != RedemptionFailed && now.Before(end)
}

// toTake says whether a revocation of the redemption would change anything.
func (d Redemption) toTake(now time.Time) bool {
	return d.mayLive(now) && (d.Taken == nil || d.Taken.State == RevocationFailed)
}

// CredentialsRevocable says whether there is something that somebody could
// ask to take back.
func (r Request) CredentialsRevocable(now time.Time) bool { return r.nothingToTake(now) == "" }

// nothingToTake says why no credentials can be taken back, "" when they can.
func (r Request) nothingToTake(now time.Time) string {
	switch {
	case r.State != Approved || len(r.Redemptions) == 0 || !r.Redeemed():
		return "no credentials were handed out for it"
	case !slices.ContainsFunc(r.Redemptions, func(d Redemption) bool { return d.mayLive(now) }):
		return "all credentials that it handed out have ended by themselves"
	case !slices.ContainsFunc(r.Redemptions, func(d Redemption) bool { return d.toTake(now) }):
		return "its credentials are being revoked already"
	}
	return ""
}

// TakeBack asks for the revocation of all that was handed out, or revokes an
// approval that nobody redeemed, for an operator: people come through
// [Request.Vote].
func (r Request) TakeBack(by Actor, reason string, now time.Time) (Request, []Event, error) {
	if r.State == Approved && !r.Redeemed() {
		r.DenyReason = reason
		return r.end(Revoked, EventRequestRevoked, by, now, map[string]any{"reason": reason})
	}
	if why := r.nothingToTake(now); why != "" {
		return r, nil, Errorf(CodeInvalidRequest, "there is nothing to revoke: %s", why)
	}
	r, event := r.takeBack(by, reason, now)
	return r, []Event{event}, nil
}

func (r Request) takeBack(by Actor, reason string, now time.Time) (Request, Event) {
	r.TakenBack = &TakenBack{By: by, Reason: reason, At: now.UTC()}
	r.Redemptions = slices.Clone(r.Redemptions)
	var asked []string
	for i, d := range r.Redemptions {
		if d.toTake(now) {
			r.Redemptions[i].Taken = &Taken{State: RevocationRequested}
			asked = append(asked, d.ID)
		}
	}
	return r, r.event(EventRevocationRequested, now, by, map[string]any{"reason": reason, "redemptions": asked})
}

// Taken records what became of one credential that was to be taken back.
func (r Request) Taken(redemption string, got Taken, now time.Time) (Request, []Event, error) {
	i := slices.IndexFunc(r.Redemptions, func(d Redemption) bool { return d.ID == redemption })
	if i < 0 || r.Redemptions[i].Taken == nil || r.Redemptions[i].Taken.State != RevocationRequested {
		return r, nil, nil
	}
	got.At = now.UTC()
	r.Redemptions = slices.Clone(r.Redemptions)
	r.Redemptions[i].Taken = &got
	name := EventCredentialRevoked
	if got.State != RevocationDone {
		name = EventRevocationFailed
	}
	d := r.Redemptions[i]
	data := map[string]any{"redemption": d.ID, "credential": d.Credential, "job": d.Job, "handed_out": d.Detail, "detail": got.Detail}
	if got.Todo != "" {
		data["todo"] = got.Todo
	}
	return r, []Event{r.event(name, now, ourselves("revocation"), data)}, nil
}

// takenBack counts the vote of somebody who wants the credentials revoked.
func (r Request) takenBack(v Vote, now time.Time) (Request, []Event, error) {
	counted := r.voteEvent(EventVoteCounted, v, "")
	r, event := r.takeBack(personActor(v.Person), v.Reason, now)
	return r, []Event{counted, event}, nil
}

// lastEnd is when the last of the credentials ends; zero: none was handed out.
func (r Request) lastEnd() time.Time {
	var end time.Time
	for _, d := range r.Redemptions {
		if d.State == RedemptionSucceeded && d.ExpiresAt.After(end) {
			end = d.ExpiresAt
		}
	}
	return end
}

// owed says whether revocations wait to be carried out.
func (r Request) owed() bool {
	return slices.ContainsFunc(r.Redemptions, func(d Redemption) bool {
		return d.Taken != nil && d.Taken.State == RevocationRequested && d.State != RedemptionIntended && d.State != RedemptionFailed
	})
}

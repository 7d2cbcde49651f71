package gatekeeper

import (
	"slices"
	"time"
)

// maxAttempts bounds how often one job may try for one credential when tries
// fail or end unknown (contract 3).
const maxAttempts = 3

// Claim is a job asking for one credential of an approved request.
type Claim struct {
	ID         string   // of the redemption, red_…
	Workload   Workload // of the fresh token
	Credential string
	Current    Decision // what the rules in force say about the fresh token
	People     People
	// Votes are the request's approvals with the standing and memberships of
	// their people as they are now.
	Votes    []Ballot
	SettleBy time.Time // when an unanswered intent counts as unknown
	// Since is when the only process that redeems was started: intents from
	// before it were left behind. Zero where other processes redeem too.
	Since time.Time
}

// Redeem records the intent to obtain a credential and gives the Grant for
// it. Everything is checked again on the fresh token and the rules in force;
// the stricter wins (threats rows 30 to 34).
func (r Request) Redeem(c Claim, now time.Time) (Request, Grant, []Event, error) {
	r, events := r.settleLeft(c.Since, now)
	spec, err := r.redeemable(c, now)
	if err != nil {
		return r, Grant{}, events, err
	}
	red := Redemption{
		ID: c.ID, Job: JobKey(c.Workload), Credential: c.Credential, State: RedemptionIntended,
		TokenKey: TokenKey(c.Workload), At: now.UTC(), SettleBy: c.SettleBy.UTC(),
	}
	r.Redemptions = append(slices.Clone(r.Redemptions), red)
	events = append(events, r.event(EventRedemptionIntended, now, workloadActor(c.Workload), map[string]any{
		"redemption": red.ID, "credential": spec.Name, "type": spec.Type, "job": red.Job,
		"token_sha256": c.Workload.Token.Hash, "rules_digest": c.Current.RulesDigest, "digest": r.Digest,
	}))
	return r, Grant{request: r, workload: c.Workload, credential: spec, redemption: red}, events, nil
}

func (r Request) redeemable(c Claim, now time.Time) (CredentialSpec, error) {
	if err := r.BelongsTo(c.Workload); err != nil {
		return CredentialSpec{}, err
	}
	spec, ok := r.Credential(c.Credential)
	if !ok {
		return spec, Errorf(CodeInvalidRequest, "this request is for no credential %q; it is for %s",
			c.Credential, orNone(credentialNames(r.Credentials)))
	}
	for _, check := range []func() error{
		func() error { return r.open(c.Workload, c.Credential, now) },
		func() error { return r.stillAllowed(spec, c, now) },
		func() error { return r.stillApproved(c) },
		func() error { return r.attemptsLeft(c, now) },
	} {
		if err := check(); err != nil {
			return spec, err
		}
	}
	return spec, nil
}

// BelongsTo says whether the workload is the one that this request is for. To
// anybody else the request does not exist.
func (r Request) BelongsTo(w Workload) error {
	if r.ID == "" || ApprovalDigest(r, w) != r.Digest {
		return Errorf(CodeNotFound, "no such request for this workload; a request belongs to the run, attempt, commit and environment that opened it")
	}
	return nil
}

// open says why a request cannot be redeemed in its state.
func (r Request) open(w Workload, credential string, now time.Time) error {
	switch r.State {
	case Pending:
		if !now.Before(r.ExpiresAt) {
			return Errorf(CodeExpired, "nobody decided before %s; open a new request", r.ExpiresAt.Format(time.RFC3339))
		}
		return Errorf(CodePending, "people have not decided yet; wait for the state to change")
	case Denied:
		return Errorf(CodeAccessDenied, "the request was denied")
	case Approved:
		if r.TakenBack != nil {
			return Errorf(CodeExpired, "its credentials were revoked, and nothing more is handed out for it")
		}
		if until := r.redeemUntil(JobKey(w), credential, r.Rule.Approval.ValidFor); !now.Before(until) {
			return Errorf(CodeExpired, "the approval could be redeemed until %s; open a new request", until.Format(time.RFC3339))
		}
		return nil
	}
	return Errorf(CodeExpired, "the request is %s; open a new one", r.State)
}

// stillAllowed holds the request against the rules in force.
func (r Request) stillAllowed(spec CredentialSpec, c Claim, now time.Time) error {
	d := c.Current
	if d.Outcome == Refuse || d.Rule == nil {
		return Errorf(CodeAccessDenied, "the rules in force no longer allow this: %s", d.Reason)
	}
	inForce, err := Choose(*d.Rule, []string{spec.Name})
	if err != nil {
		return err
	}
	if digest(inForce[0]) != digest(spec) {
		return Errorf(CodeAccessDenied, "credential %q was changed in rule %q after the approval; open a new request", spec.Name, d.Rule.Name)
	}
	if until := r.redeemUntil(JobKey(c.Workload), spec.Name, d.Rule.Approval.ValidFor); !now.Before(until) {
		return Errorf(CodeExpired, "by the rules in force the approval could be redeemed until %s; open a new request", until.Format(time.RFC3339))
	}
	return nil
}

// stillApproved counts the approvals again, with their people as they are now.
func (r Request) stillApproved(c Claim) error {
	votes, why := r.standingVotes(c)
	holds := (r.Rule.Approval.None || r.Rule.Approval.agreed(votes)) && satisfiesCurrent(c.Current, votes)
	if r.BrokenGlass {
		holds = r.glassOpens(c.Current, votes)
	}
	if holds {
		return nil
	}
	return Errorf(CodeAccessDenied, "the approval no longer holds%s; open a new request", why)
}

// standingVotes are the approvals that would count today, and the first
// reason why one does not. Where the glass was broken only the votes that
// broke it matter.
func (r Request) standingVotes(c Claim) (votes []agreement, why string) {
	e := Electorate{Current: c.Current, People: c.People}
	for _, b := range c.Votes {
		if r.BrokenGlass && !b.Vote.BreakGlass {
			continue
		}
		reason := b.Standing.refusal()
		if reason == "" {
			reason = r.notEntitled(b.Vote, e)
		}
		if reason == "" {
			votes = append(votes, agreement{person: b.Vote.Person.Slack, as: b.Member})
		} else if why == "" {
			why = " (an approver's vote would not count today: " + reason + ")"
		}
	}
	return votes, why
}

// attempts are the redemptions of one job for one credential, in order.
func (r Request) attempts(job, credential string) []Redemption {
	return slices.DeleteFunc(slices.Clone(r.Redemptions), func(d Redemption) bool {
		return d.Job != job || d.Credential != credential
	})
}

// triesLeft is how often the redemption's job may try again after it.
func (r Request) triesLeft(d Redemption) int {
	tries := 0
	for _, had := range r.attempts(d.Job, d.Credential) {
		if tries++; had.State == RedemptionSucceeded {
			tries = 0
		}
	}
	return maxAttempts - tries
}

// attemptsLeft allows as many successes for each job as the stricter rule
// says, one try at a time, and three tries for each success.
func (r Request) attemptsLeft(c Claim, now time.Time) error {
	successes, tries := 0, 0
	for _, d := range r.attempts(JobKey(c.Workload), c.Credential) {
		switch d.State {
		case RedemptionIntended:
			return &Error{Code: CodeSlowDown, RetryAfter: max(time.Second, d.SettleBy.Sub(now)),
				Description: "another attempt of this job for this credential is under way; try again when it ended"}
		case RedemptionSucceeded:
			successes, tries = successes+1, 0
			if d.TokenKey == TokenKey(c.Workload) {
				return r.usedUp(successes, c, Errorf(CodeInvalidToken, "this token already obtained credential %q; present a fresh one", c.Credential))
			}
		default:
			tries++
		}
	}
	if tries >= maxAttempts {
		return Errorf(CodeExpired, "%d attempts for credential %q failed, and no more are allowed; open a new request", tries, c.Credential)
	}
	return r.usedUp(successes, c, nil)
}

func (r Request) usedUp(successes int, c Claim, otherwise error) error {
	allowed := min(r.Rule.Approval.Redemptions, c.Current.Rule.Approval.Redemptions)
	if successes >= allowed {
		return Errorf(CodeExpired, "credential %q was already redeemed %d of %d times by this job", c.Credential, successes, allowed)
	}
	return otherwise
}

package gatekeeper

import (
	"slices"
	"strings"
	"time"
)

// Admission is all that a new request is made of.
type Admission struct {
	ID          string
	Workload    Workload
	Initiators  Initiators
	Authors     Initiators
	Ask         Ask
	Decision    Decision
	Credentials []CredentialSpec // those asked for, see Choose
	Deployment  *Held            // set for what waits at the forge
	Now         time.Time
}

// NewRequest opens a request, already approved where the rule says
// approval: none. A decision that refuses gives the zero Request and an
// error: nothing can come of it.
func NewRequest(a Admission) (Request, []Event, error) {
	if a.Decision.Outcome == Refuse || a.Decision.Rule == nil {
		return Request{}, nil, Errorf(CodeAccessDenied, "%s", a.Decision.Reason)
	}
	rule := *a.Decision.Rule
	r := Request{
		ID: a.ID, State: Pending,
		Environment: a.Ask.Environment, Reason: a.Ask.Reason,
		Workload: a.Workload, Initiators: a.Initiators, Authors: a.Authors,
		Rule: rule, RulesDigest: a.Decision.RulesDigest, Freeze: a.Decision.Freeze, BreakGlass: a.Decision.BreakGlass,
		Credentials: a.Credentials,
		Binding:     Bind(a.Workload, a.Ask.Environment, rule.Approval.Scope, credentialNames(a.Credentials)),
		Deployment:  a.Deployment,
		CreatedAt:   a.Now, ExpiresAt: a.Now.Add(rule.Approval.ExpiresAfter),
	}
	if r.Deployment != nil {
		r.Binding = DeploymentKey(a.Workload, a.Ask.Environment)
	}
	r.Digest = ApprovalDigest(r, a.Workload)
	events := []Event{openedEvent(r, a.Decision)}
	if a.Decision.Outcome == Allow && rule.Approval.None {
		var approved Event
		r, approved = r.approve(a.Now, Actor{Kind: "gatekeeper", ID: "rule:" + rule.Name})
		events = append(events, approved)
	}
	return r, events, nil
}

// Choose picks the named credentials of a rule, all of them for no names.
func Choose(rule Rule, names []string) ([]CredentialSpec, error) {
	if len(names) == 0 {
		return slices.Clone(rule.Credentials), nil
	}
	var chosen []CredentialSpec
	for _, name := range names {
		i := slices.IndexFunc(rule.Credentials, func(c CredentialSpec) bool { return c.Name == name })
		if i < 0 {
			return nil, Errorf(CodeAccessDenied, "rule %q gives no credential %q; it gives %s",
				rule.Name, name, orNone(credentialNames(rule.Credentials)))
		}
		if !slices.ContainsFunc(chosen, func(c CredentialSpec) bool { return c.Name == name }) {
			chosen = append(chosen, rule.Credentials[i])
		}
	}
	return chosen, nil
}

// Serves says whether an existing request still answers the same workload
// asking again at now. One that nobody decided in time, that was withdrawn,
// or whose approval lapsed does not: people are asked anew. A denial, a
// revocation and a newer run stand, and so does that its credentials were revoked.
func (r Request) Serves(now time.Time) bool {
	switch r.State {
	case Pending:
		return now.Before(r.ExpiresAt)
	case Approved:
		return !r.Lapsed(now) || r.TakenBack != nil
	case Denied, Revoked, Superseded:
		return true
	}
	return false
}

func (r Request) approve(now time.Time, by Actor) (Request, Event) {
	r.State = Approved
	r.DecidedAt = now
	r.RedeemBefore = now.Add(r.Rule.Approval.ValidFor)
	data := map[string]any{"digest": r.Digest, "redeem_before": r.RedeemBefore, "approvers": approverIDs(r)}
	if r.BrokenGlass {
		data["break_glass"] = true
	}
	return r, r.event(EventRequestApproved, now, by, data)
}

func openedEvent(r Request, d Decision) Event {
	data := map[string]any{
		"environment": r.Environment, "reason": r.Reason, "rule": r.Rule.Name,
		"rule_digest": r.Rule.Digest, "rules_digest": r.RulesDigest, "outcome": d.Outcome.String(),
		"workload": r.Workload, "credentials": credentialNames(r.Credentials),
		"digest": r.Digest, "token_sha256": r.Workload.Token.Hash, "expires_at": r.ExpiresAt,
		"freeze": r.Freeze, "observed": d.Observed,
	}
	if r.Deployment != nil {
		data["via"] = r.Deployment.Via
	}
	return r.event(EventRequestOpened, r.CreatedAt, workloadActor(r.Workload), data)
}

func credentialNames(cs []CredentialSpec) []string {
	names := make([]string, len(cs))
	for i, c := range cs {
		names[i] = c.Name
	}
	return names
}

func approverIDs(r Request) []string {
	var ids []string
	for _, v := range r.ApprovedBy() {
		ids = append(ids, v.Person.Slack)
	}
	return ids
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

package gatekeeper

import (
	"context"
	"encoding/json"
	"time"
)

// refusalKept is how long the same deployment refused by the same rules is
// one event, however often it is found.
const refusalKept = 30 * 24 * time.Hour // as long as GitHub lets a deployment wait

// OpenDeployment opens a request for a job that the forge holds back, or
// gives the one that there is; the outcome goes back to the forge as durable
// work. Like the other doors it hands in no identity: the forge is asked.
func (g *Gate) OpenDeployment(ctx context.Context, ref DeploymentRef) (r Request, created bool, err error) {
	if g.Deployments == nil {
		return Request{}, false, Errorf(CodeInternal, "the gate has nobody to ask about deployments")
	}
	ask := Ask{Environment: ref.Environment}
	if err := ask.check(); err != nil {
		return Request{}, false, err
	}
	w, err := g.Deployments.Deployment(ctx, ref)
	if CodeOf(err) == CodeAccessDenied {
		return Request{}, false, g.refuseDeployment(ctx, w, ref, Decision{}, description(err))
	}
	if err != nil {
		return Request{}, false, err
	}
	if DeploymentKey(w, ask.Environment) == "" {
		return Request{}, false, Errorf(CodeUnavailable, "GitHub does not tell which run, attempt and commit waits in %s of %s", ref.Environment, ref.Repository)
	}
	d := g.Rules.Decide(ctx, w, ask.Environment, g.Now())
	if d.Outcome == Refuse || d.Rule == nil {
		return Request{}, false, g.refuseDeployment(ctx, w, ref, d, d.Reason+cannotTell(d))
	}
	in := Admission{ID: newID("req_"), Workload: w, Ask: ask, Decision: d, Credentials: d.Rule.Credentials, Deployment: &Held{Via: ref.Via}}
	in.Initiators, in.Authors = g.behind(ctx, w, d.Rule.Approval)
	return g.openOnce(ctx, in)
}

// refuseDeployment has the refusal told, and records it once for each set of
// rules: a sweep finds what waits again and again.
func (g *Gate) refuseDeployment(ctx context.Context, w Workload, ref DeploymentRef, d Decision, reason string) error {
	key := DeploymentKey(w, ref.Environment)
	if key == "" {
		key = "deployment:" + digest([]string{ref.Repository, ref.RunID, w.RunAttempt, FoldEnvironment(ref.Environment)})
	}
	told, err := json.Marshal(Refusal{Repository: ref.Repository, RunID: ref.RunID, RunAttempt: w.RunAttempt, Environment: ref.Environment, Reason: reason})
	if err != nil {
		return err
	}
	events := stamped([]Event{{
		Type: EventRequestRefused, Time: g.Now().UTC(), Actor: workloadActor(w),
		Data: map[string]any{
			"environment": ref.Environment, "workload": w, "reason": reason, "freeze": d.Freeze, "via": ref.Via,
			"rules_digest": d.RulesDigest, "considered": len(d.Considered), "observed": d.Observed,
		},
	}})
	work := []Work{{Kind: WorkVerdict, Key: key, Payload: told}}
	first, err := g.Store.Once(ctx, "refused "+key+" "+d.RulesDigest, refusalKept, Change{Events: events, Work: work})
	if err == nil && !first { // another job of the run may wait in the same environment
		err = g.Store.Record(ctx, Change{Work: work})
	}
	if err != nil {
		return err
	}
	if first {
		g.told(ctx, Request{}, events)
	}
	return Errorf(CodeAccessDenied, "%s", reason)
}

// Withdraw ends a pending request whose deployment is gone at the forge: its
// run was canceled or ended otherwise.
func (g *Gate) Withdraw(ctx context.Context, id, why string) (Request, error) {
	return g.update(ctx, id, func(r Request, now time.Time) (Request, []Event, error) {
		if r.State != Pending || r.Deployment == nil {
			return r, nil, nil
		}
		return r.end(Canceled, EventRequestCanceled, ourselves("github"), now, map[string]any{"reason": why})
	})
}

package gatekeeper

import (
	"strings"
	"testing"
	"time"
)

// waitingWorkload is what GitHub tells of alice's run before its job runs.
func waitingWorkload() Workload {
	w := workloadOf("alice")
	w.Subject, w.Workflow, w.WorkflowSHA, w.Job, w.Runner, w.Token = "", "", "", "", "", Token{}
	return w
}

// held is the request of a deployment that waits, approved by the users.
func held(t testing.TB, rule Rule, users ...string) Request {
	t.Helper()
	r, events, err := NewRequest(Admission{
		ID: "req_1", Workload: waitingWorkload(), Initiators: Initiators{People: []Account{{Login: "alice"}}, Known: true},
		Ask: Ask{Environment: "Production"}, Decision: needs(rule), Credentials: rule.Credentials, Now: start(),
		Deployment: &Held{Via: "github.deployment_protection_rule"},
	})
	if err != nil || events[0].Data["via"] != "github.deployment_protection_rule" {
		t.Fatalf("%v, %v", err, events)
	}
	for _, u := range users {
		if r, _, err = r.Vote(ballotOf(u, Approve), electorate(rule), start().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func admissionOf(w Workload, rule Rule) Admission {
	return Admission{ID: "req_2", Workload: w, Ask: Ask{Environment: "production"}, Decision: needs(rule), Credentials: rule.Credentials, Now: redeemAt()}
}

// People approve once: the job of the deployment gets its request, and what
// only the token tells is bound from then on.
func TestJobIsServedByItsDeployment(t *testing.T) {
	rule := ruleOf(release(1))
	r := held(t, rule, "U0BOB")
	if err := r.BelongsTo(workloadOf("alice")); CodeOf(err) != CodeNotFound {
		t.Fatalf("before adoption nothing can be redeemed: %v", err)
	}
	a := admissionOf(workloadOf("alice"), rule)
	found, change := a.existing(OpenView{Held: &r, Now: redeemAt()})
	if found == nil || found.ID != "req_1" || found.State != Approved || len(change.Events) != 1 || change.Events[0].Type != EventRequestAdopted {
		t.Fatalf("got %+v, %+v", found, change)
	}
	if change.Events[0].Data["digest_before"] != r.Digest || found.Digest == r.Digest || r.Deployment.Adopted {
		t.Error("the event does not tell both digests, or the old request was changed")
	}
	if _, g, _, err := found.Redeem(claimOf(*found, rule), redeemAt()); err != nil || !g.Valid() {
		t.Errorf("it cannot be redeemed: %v", err)
	}
	again, change := a.existing(OpenView{Held: found, Now: redeemAt()})
	if again == nil || again.ID != "req_1" || len(change.Events) != 0 {
		t.Errorf("asking again: %v, %+v", again, change)
	}
	other := workloadOf("alice")
	other.Workflow = "acme/payments/.github/workflows/other.yml@refs/heads/main"
	if got, _ := admissionOf(other, rule).existing(OpenView{Held: found, Now: redeemAt()}); got != nil {
		t.Error("once pinned, another workflow of the run was served")
	}
	if err := found.BelongsTo(other); CodeOf(err) != CodeNotFound {
		t.Errorf("another workflow of the run: %v", err)
	}
}

// Threats rows 30 and 43: an approval of the deployment gives nothing to a
// token that is of another run, commit or environment, or that contradicts
// what people were told.
func TestOtherJobsNeedTheirOwnApproval(t *testing.T) {
	for name, change := range map[string]func(*Admission, *Request){
		"other issuer":        func(a *Admission, _ *Request) { a.Workload.IssuerURL = "https://ghes.acme.com/_services/token" },
		"other repository id": func(a *Admission, _ *Request) { a.Workload.RepositoryID = "7654321" },
		"other repository":    func(a *Admission, _ *Request) { a.Workload.Repository = "acme/other" },
		"other run":           func(a *Admission, _ *Request) { a.Workload.RunID = "7002" },
		"other attempt":       func(a *Admission, _ *Request) { a.Workload.RunAttempt = "2" },
		"other sha":           func(a *Admission, _ *Request) { a.Workload.SHA = "ffff" },
		"other ref":           func(a *Admission, _ *Request) { a.Workload.Ref = "refs/tags/main" },
		"other event":         func(a *Admission, _ *Request) { a.Workload.Event = "workflow_dispatch" },
		"ref not told":        func(_ *Admission, r *Request) { r.Workload.Ref = "" },
		"other workflow": func(_ *Admission, r *Request) {
			r.Workload.Workflow = "acme/payments/.github/workflows/x.yml@refs/heads/main"
		},
		"no deployment":        func(_ *Admission, r *Request) { r.Deployment = nil },
		"lapsed":               func(_ *Admission, r *Request) { r.RedeemBefore = start() },
		"expired":              func(_ *Admission, r *Request) { r.State = Expired },
		"other rule":           func(a *Admission, _ *Request) { a.Decision.Rule.Name = "payments-admin" },
		"rule got stricter":    func(a *Admission, _ *Request) { a.Decision.Rule.Approval.Groups = []Group{release(2)} },
		"credential changed":   func(a *Admission, _ *Request) { a.Credentials = []CredentialSpec{{Name: "deploy", Type: "aws"}} },
		"credential not of it": func(a *Admission, _ *Request) { a.Credentials = append(a.Credentials, CredentialSpec{Name: "admin"}) },
		"no decision":          func(a *Admission, _ *Request) { a.Decision.Rule = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := held(t, ruleOf(release(1)), "U0BOB")
			a := admissionOf(workloadOf("alice"), ruleOf(release(1)))
			change(&a, &r)
			if got, _ := a.existing(OpenView{Held: &r, Now: redeemAt()}); got != nil {
				t.Error("it was served by the deployment's approval")
			}
		})
	}
}

// A job that runs although its deployment is still undecided, or was denied
// (an admin may bypass the rule), finds just that.
func TestJobOfAnUndecidedDeployment(t *testing.T) {
	rule := ruleOf(release(1))
	for state, c := range map[State]struct{ vote Choice }{Pending: {""}, Denied: {Deny}} {
		r := held(t, rule)
		if c.vote != "" {
			r, _, _ = r.Vote(ballotOf("U0BOB", c.vote), electorate(rule), start())
		}
		a := admissionOf(workloadOf("alice"), rule)
		a.Ask.Reason = "Release 1.2"
		found, _ := a.existing(OpenView{Held: &r, Now: redeemAt()})
		if found == nil || found.State != state {
			t.Errorf("%s: got %+v", state, found)
		}
		if state == Pending && found.Reason != "Release 1.2" {
			t.Errorf("the job's reason is not shown: %q", found.Reason)
		}
	}
}

// With scope: job one job takes the approval; GitHub asking for the next one
// is a new question.
func TestScopeJobOfADeployment(t *testing.T) {
	rule := ruleOf(release(1))
	rule.Approval.Scope = ScopeJob
	r := held(t, rule, "U0BOB")
	waiting := Admission{Workload: waitingWorkload(), Ask: Ask{Environment: "production"}, Decision: needs(rule), Deployment: &Held{}}
	if got, change := waiting.existing(OpenView{Held: &r, Now: redeemAt()}); got == nil || len(change.Work) != 1 || change.Work[0].Kind != WorkVerdict {
		t.Errorf("asked again before the job ran: %v, %v", got, change)
	}
	found, _ := admissionOf(workloadOf("alice"), rule).existing(OpenView{Held: &r, Now: redeemAt()})
	second := workloadOf("alice")
	second.Job = "502"
	if got, _ := admissionOf(second, rule).existing(OpenView{Held: found, Now: redeemAt()}); got != nil {
		t.Error("a second job was served by the first one's approval")
	}
	if got, _ := waiting.existing(OpenView{Held: found, Now: redeemAt()}); got != nil {
		t.Error("the second job's deployment was served by the first one's approval")
	}
}

// The forge is told each outcome, and asked nothing while people decide.
func TestVerdictWork(t *testing.T) {
	rule := ruleOf(release(1))
	verdicts := func(work []Work) (n int) {
		for _, w := range work {
			if w.Kind == WorkVerdict {
				n++
			}
		}
		return n
	}
	pending, approved := held(t, rule), held(t, rule, "U0BOB")
	revoked, _, _ := approved.Vote(ballotOf("U0BOB", Revoke), electorate(rule), redeemAt())
	expired, _, _ := pending.Expire(pending.ExpiresAt)
	for name, c := range map[string]struct {
		work []Work
		want int
	}{
		"opened": {openWork(pending), 0}, "approved": {followUp(pending, approved), 1}, "revoked": {followUp(approved, revoked), 1},
		"expired": {followUp(pending, expired), 1}, "same state": {followUp(approved, approved), 0}, "allowed at once": {openWork(approved), 1},
		"no deployment": {followUp(opened(t, rule), approvedBy(t, rule, "U0BOB")), 0},
	} {
		if got := verdicts(c.work); got != c.want {
			t.Errorf("%s: %d verdicts, want %d", name, got, c.want)
		}
	}
}

func TestDeploymentKeyNeedsWhatBinds(t *testing.T) {
	for name, clear := range map[string]func(*Workload){
		"issuer": func(w *Workload) { w.IssuerURL = "" }, "repository id": func(w *Workload) { w.RepositoryID = "" },
		"run": func(w *Workload) { w.RunID = "" }, "attempt": func(w *Workload) { w.RunAttempt = "" }, "sha": func(w *Workload) { w.SHA = "" },
	} {
		w := waitingWorkload()
		clear(&w)
		if DeploymentKey(w, "production") != "" {
			t.Errorf("a deployment without %s has a key", name)
		}
	}
	if DeploymentKey(waitingWorkload(), "production") != DeploymentKey(workloadOf("alice"), "PRODUCTION") {
		t.Error("a job's token does not lead to its deployment")
	}
}

// A rule that needs what GitHub does not tell says so.
func TestRefusalSaysWhatCannotBeTold(t *testing.T) {
	d := Decision{Considered: []Considered{
		{Rule: "other", Fits: 1, Mismatch: &Mismatch{Key: "ref", Want: "x", Got: "y"}},
		{Rule: "payments", Fits: 4, Mismatch: &Mismatch{Key: "workflow", Absent: true}},
	}}
	if why := cannotTell(d); !strings.Contains(why, "payments") || !strings.Contains(why, "job_workflow_ref") {
		t.Errorf("got %q", why)
	}
	d.Considered[1].Mismatch = &Mismatch{Key: "ref", Got: "refs/heads/evil"}
	if why := cannotTell(d); why != "" {
		t.Errorf("got %q for a claim that is told", why)
	}
}

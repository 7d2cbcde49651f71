package github

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// maxReports is how many reports GitHub takes for one environment of a run.
const maxReports = 10

// noteReports is the kind of note that counts reports, by run and environment.
const noteReports = "github.reports"

// reports is what a run's environment was told so far.
type reports struct {
	Attempt string `json:"attempt"`           // of the run
	Count   int    `json:"count"`             // those GitHub took, or may have taken
	Subject string `json:"subject,omitempty"` // the request, or the deployment's key, last told
	State   string `json:"state,omitempty"`   // approved or rejected; "": asked anew since
	Open    bool   `json:"open,omitempty"`    // a report was begun and its answer is not noted
}

// outcome is what GitHub is to be told.
type outcome struct {
	repository, run, attempt, environment string
	subject                               string
	state, comment                        string
}

// verdict tells GitHub the outcome of a request, or of a refusal.
func (p *Protection) verdict(ctx context.Context, w gatekeeper.Work) error {
	if w.Payload != nil {
		var refusal gatekeeper.Refusal
		if err := json.Unmarshal(w.Payload, &refusal); err != nil {
			p.o.Logger.ErrorContext(ctx, "github: a recorded refusal cannot be read and is left", "key", w.Key, "error", err)
			return nil
		}
		return p.tell(ctx, outcome{
			refusal.Repository, refusal.RunID, refusal.RunAttempt, refusal.Environment, w.Key, "rejected", comment("Rejected by Gatekeeper: " + refusal.Reason),
		})
	}
	r, err := p.o.Gate.Lookup(ctx, w.Key)
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound || err == nil && (r.Deployment == nil || r.State == gatekeeper.Pending) {
		return nil
	}
	if err != nil {
		return err
	}
	state := "rejected"
	if r.State == gatekeeper.Approved {
		state = "approved"
	}
	return p.tell(ctx, outcome{
		r.Workload.Repository, r.Workload.RunID, r.Workload.RunAttempt, r.Environment, r.ID, state, commentOf(r, p.o.PublicURL),
	})
}

func reportsKey(repository, run, environment string) string {
	return strings.ToLower(repository) + "/" + run + "/" + gatekeeper.FoldEnvironment(environment)
}

func (p *Protection) reports(ctx context.Context, key string) (n reports, err error) {
	body, err := p.o.Memory.Note(ctx, noteReports, key)
	if err != nil || body == nil {
		return n, err
	}
	return n, json.Unmarshal(body, &n)
}

func (p *Protection) note(ctx context.Context, key string, n reports) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return p.o.Memory.SetNote(ctx, noteReports, key, body)
}

// again makes the next outcome be told although the same was told before.
func (p *Protection) again(ctx context.Context, ref gatekeeper.DeploymentRef) error {
	key := reportsKey(ref.Repository, ref.RunID, ref.Environment)
	n, err := p.reports(ctx, key)
	if err != nil || n.State == "" {
		return err
	}
	n.State = ""
	return p.note(ctx, key, n)
}

// tell reports the outcome until GitHub has it, and no more often than GitHub
// takes it. An outcome that nobody waits for any more is not told.
func (p *Protection) tell(ctx context.Context, o outcome) error {
	key := reportsKey(o.repository, o.run, o.environment)
	n, err := p.reports(ctx, key)
	if err != nil {
		return err
	}
	if n.Attempt != o.attempt {
		n = reports{Attempt: o.attempt}
	}
	if n.Subject == o.subject && n.State == o.state {
		return nil
	}
	client, wanted, err := p.stillWanted(ctx, o, n)
	if err != nil || !wanted {
		return err
	}
	if n.Count >= maxReports {
		p.o.Logger.ErrorContext(ctx, "github: the outcome cannot be told: GitHub takes ten reports for an environment of a run", "run", o.run, "environment", o.environment, "state", o.state)
		return nil
	}
	n.Open = true
	if err := p.note(ctx, key, n); err != nil {
		return err
	}
	if err := p.report(ctx, client, o); err != nil {
		return p.unreported(ctx, client, o, err)
	}
	p.o.Logger.InfoContext(ctx, "github: told", "repository", o.repository, "run", o.run, "environment", o.environment, "state", o.state, "subject", o.subject)
	return p.note(ctx, key, reports{Attempt: o.attempt, Count: n.Count + 1, Subject: o.subject, State: o.state})
}

// stillWanted holds the outcome against the run as it is: an outcome for an
// earlier attempt must not decide a later one's deployment. Whether it waits
// is asked only where an earlier report may have ended the wait.
func (p *Protection) stillWanted(ctx context.Context, o outcome, n reports) (*github.Client, bool, error) {
	client, run, err := p.o.Client.run(ctx, o.repository, o.run)
	switch {
	case gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound, statusOfCall(err) == http.StatusNotFound:
		p.o.Logger.WarnContext(ctx, "github: the outcome is told to nobody, GitHub no longer shows the run", "repository", o.repository, "run", o.run, "error", err)
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case run.over() || o.attempt != "" && o.attempt != jsonInt(run.Attempt):
		return nil, false, nil
	}
	if !n.Open && n.Count == 0 {
		return client, true, nil
	}
	pending, err := waitingIn(ctx, client, o.repository, o.run)
	return client, contains(pending, o.environment), err
}

// report is one call
// (https://docs.github.com/rest/actions/workflow-runs#review-custom-deployment-protection-rules-for-a-workflow-run).
// Its address is built from the configured API and ids, never taken from a
// payload (threats row 42).
func (p *Protection) report(ctx context.Context, client *github.Client, o outcome) error {
	owner, repo, _ := strings.Cut(o.repository, "/")
	_, err := post(ctx, client, repoPath(owner, repo)+"/actions/runs/"+o.run+"/deployment_protection_rule", map[string]string{
		"environment_name": o.environment, "state": o.state, "comment": o.comment,
	})
	return err
}

// unreported tells a refusal that stands, because nothing waits, from a
// failure that is to be tried again.
func (p *Protection) unreported(ctx context.Context, client *github.Client, o outcome, cause error) error {
	failed := unavailable(cause, "take the outcome for "+o.environment+" of run "+o.run)
	if status := statusOfCall(cause); status != http.StatusUnprocessableEntity && status != http.StatusNotFound {
		return failed
	}
	pending, err := waitingIn(ctx, client, o.repository, o.run)
	if err != nil || contains(pending, o.environment) {
		return failed
	}
	p.o.Logger.InfoContext(ctx, "github: the outcome is told to nobody, the deployment no longer waits", "run", o.run, "environment", o.environment, "state", o.state)
	return nil
}

package gatekeeper

import (
	"context"
	"time"
	"unicode"
	"unicode/utf8"
)

// The most that a workload may say. GitHub's environment names end at 255
// characters; a reason has to fit a Slack section beside everything else.
const (
	maxEnvironment = 255
	maxReason      = 1000
	maxCredentials = 20
)

// lookupTimeout bounds what Open waits for the forge: a request is never late
// because GitHub is slow. Who re-ran the run is asked again at the vote.
const lookupTimeout = 2 * time.Second

// Open opens a request for the token's workload, or gives the one that it
// already has; created tells which. A refusal is recorded before it is told.
func (g *Gate) Open(ctx context.Context, token string, ask Ask) (r Request, created bool, err error) {
	w, err := g.Verifier.Verify(ctx, token, "")
	if err != nil {
		return Request{}, false, err
	}
	if err := ask.check(); err != nil {
		return Request{}, false, err
	}
	if err := g.Store.UseToken(ctx, w.IssuerURL, w.Token); err != nil {
		return Request{}, false, err
	}
	d := g.Rules.Decide(ctx, w, ask.Environment, g.Now())
	credentials, err := g.admitted(ctx, w, ask, d)
	if err != nil {
		return Request{}, false, err
	}
	in := Admission{ID: newID("req_"), Workload: w, Ask: ask, Decision: d, Credentials: credentials}
	in.Initiators, in.Authors = g.behind(ctx, w, d.Rule.Approval)
	return g.openOnce(ctx, in)
}

// admitted is what the decision lets the workload ask for; a refusal goes
// into the ledger first.
func (g *Gate) admitted(ctx context.Context, w Workload, ask Ask, d Decision) ([]CredentialSpec, error) {
	var credentials []CredentialSpec
	err := error(Errorf(CodeAccessDenied, "%s", d.Reason))
	if d.Outcome != Refuse && d.Rule != nil {
		credentials, err = Choose(*d.Rule, ask.Credentials)
	}
	if err == nil {
		return credentials, nil
	}
	events := stamped([]Event{{
		Type: EventRequestRefused, Time: g.Now().UTC(), Actor: workloadActor(w),
		Data: map[string]any{
			"environment": ask.Environment, "workload": w, "reason": err.Error(), "freeze": d.Freeze,
			"rules_digest": d.RulesDigest, "considered": len(d.Considered), "observed": d.Observed, "token_sha256": w.Token.Hash,
		},
	}})
	if recordErr := g.Store.Record(ctx, Change{Events: events}); recordErr != nil {
		return nil, recordErr
	}
	g.told(ctx, Request{}, events)
	return nil, err
}

func (g *Gate) openOnce(ctx context.Context, in Admission) (Request, bool, error) {
	var events []Event
	var existing *Request
	stored, err := g.Store.Open(ctx, in.key(g.PendingPerRepository), func(v OpenView) (Change, error) {
		in.Now, existing, events = v.Now, nil, nil
		found, change := in.existing(v)
		if found != nil {
			existing, events = found, stamped(change.Events)
			return change, nil
		}
		if v.Pending >= g.PendingPerRepository && in.Decision.Outcome != Allow {
			return Change{}, &Error{Code: CodeSlowDown, RetryAfter: time.Minute, Description: tooManyPending(in.Workload, v.Pending)}
		}
		r, opened, err := NewRequest(in)
		events = stamped(opened)
		return Change{Request: r, Events: events, Work: append(openWork(r), homesWork(v.Now))}, err
	})
	if CodeOf(err) == CodeSlowDown {
		g.Crowded()
	}
	if err != nil {
		return stored, false, err
	}
	if existing != nil && stored.ID == "" {
		stored = *existing
	}
	g.told(ctx, stored, events)
	return stored, existing == nil, nil
}

// key is under which this admission's request may stand already.
func (a Admission) key(count int) OpenKey {
	k := OpenKey{Repository: RepositoryKey(a.Workload), Count: count, Deployment: DeploymentKey(a.Workload, a.Ask.Environment)}
	if a.Deployment == nil {
		k.Binding = Bind(a.Workload, a.Ask.Environment, a.Decision.Rule.Approval.Scope, credentialNames(a.Credentials))
	}
	return k
}

// existing is the request that serves this admission already, nil when a new
// one is needed, and what finding it changes: a token's first look at its
// deployment's request adopts it, and a deployment that waits although it was
// decided is told again.
func (a Admission) existing(v OpenView) (*Request, Change) {
	if a.Deployment != nil {
		if v.Held != nil && v.Held.servesDeployment(v.Now) {
			return v.Held, Change{Work: verdictWork(*v.Held)}
		}
		return nil, Change{}
	}
	if v.Existing != nil && (v.Existing.Serves(v.Now) || v.Existing.refreshes(a.Workload, v.Now)) {
		return v.Existing, Change{}
	}
	if v.Held != nil && v.Held.refreshes(a.Workload, v.Now) {
		return v.Held, Change{}
	}
	if v.Held == nil || !v.Held.adoptable(a, v.Now) {
		return nil, Change{}
	}
	if v.Held.Deployment.Adopted {
		return v.Held, Change{}
	}
	r, events := v.Held.adopt(a, v.Now)
	return &r, Change{Request: r, Events: events, Work: []Work{messageWork(r.ID)}}
}

func tooManyPending(w Workload, n int) string {
	return Errorf(CodeSlowDown, "%s already has %d requests waiting for people; wait until some are decided, or cancel them", w.Repository, n).Description
}

// openWork asks people and sets the clock; what needs nobody posts nothing.
func openWork(r Request) []Work {
	if r.State != Pending {
		return append(verdictWork(r), tellWork(r, r)...)
	}
	work := append(askWork(r), expireWork(r.ID, r.ExpiresAt))
	if r.Rule.Approval.Supersede {
		work = append(work, Work{Kind: WorkSupersede, Key: r.ID})
	}
	return work
}

// behind tells who may have caused the run, and who wrote what it deploys.
func (g *Gate) behind(ctx context.Context, w Workload, a Approval) (initiators, authors Initiators) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if !a.None && !a.SelfApproval {
		initiators = g.initiators(ctx, w)
	}
	if !a.None && a.ExcludeAuthors {
		authors = g.authors(ctx, w)
	}
	return initiators, authors
}

// initiators are the token's actor and, for a re-run, whoever the forge names:
// the token keeps the first actor for 30 days of re-runs (threats row 10).
func (g *Gate) initiators(ctx context.Context, w Workload) Initiators {
	var in Initiators
	if w.Actor != "" {
		in.People = append(in.People, w.Starter())
	}
	switch {
	case w.Actor == "":
		in.Why = "the token does not say who started this run, so self-approval cannot be excluded"
	case w.RunAttempt == "" || w.RunAttempt == "1":
		in.Known = true
	case g.Runs == nil:
		in.Why = "this run was re-run, and its token does not say by whom; with `github:` in gatekeeper.yaml GitHub can be asked"
	default:
		more, err := g.Runs.Initiators(ctx, w)
		in.People, in.Known = append(in.People, more...), err == nil
		if err != nil {
			g.Logger.WarnContext(ctx, "cannot ask who re-ran the run", "repository", w.Repository, "run", w.RunID, "error", err)
			in.Why = "this run was re-run, and GitHub did not answer by whom; try again in a moment"
		}
	}
	return in
}

func (g *Gate) authors(ctx context.Context, w Workload) Initiators {
	if g.Runs == nil {
		return Initiators{Why: "who wrote these commits cannot be asked without `github:` in gatekeeper.yaml"}
	}
	people, err := g.Runs.Authors(ctx, w)
	if err != nil {
		g.Logger.WarnContext(ctx, "cannot ask who wrote the commits", "repository", w.Repository, "sha", w.SHA, "error", err)
		return Initiators{Why: "GitHub did not answer who wrote these commits; try again in a moment"}
	}
	return Initiators{People: people, Known: true}
}

func (a Ask) check() error {
	switch {
	case a.Environment == "":
		return Errorf(CodeInvalidRequest, "environment is missing; say which one is asked for, e.g. production")
	case utf8.RuneCountInString(a.Environment) > maxEnvironment || !printable(a.Environment):
		return Errorf(CodeInvalidRequest, "environment has to be at most %d printable characters", maxEnvironment)
	case utf8.RuneCountInString(a.Reason) > maxReason || !utf8.ValidString(a.Reason):
		return Errorf(CodeInvalidRequest, "reason has to be UTF-8 of at most %d characters", maxReason)
	case len(a.Credentials) > maxCredentials:
		return Errorf(CodeInvalidRequest, "at most %d credentials can be asked for at once", maxCredentials)
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

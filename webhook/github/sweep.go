package github

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

const (
	// WorkSweep looks for deployments whose webhook was lost: GitHub never
	// delivers one again by itself (threats row 41). There is one at a time,
	// whatever the number of replicas.
	WorkSweep = "github.sweep"
	sweepKey  = "all"
	noteSweep = "github.sweep" // where the last sweep ended, by installation

	sweepTime  = 2 * time.Minute // for one sweep
	pageSize   = 100
	maxWaiting = 100 // runs that wait in one repository
	// reserve is the part of the rate limit that sweeps leave to decisions.
	reserve = 4
)

// SweepNow makes a sweep due. The service does so at its start.
func (p *Protection) SweepNow(ctx context.Context) error { return p.sweepIn(ctx, 0) }

func (p *Protection) sweepIn(ctx context.Context, after time.Duration) error {
	return p.o.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkSweep, Key: sweepKey, After: after}}})
}

// sweep looks once and sets the time of the next look. What fails is looked
// at again then; a limit is obeyed before.
func (p *Protection) sweep(ctx context.Context, _ gatekeeper.Work) error {
	wide := ctx
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	next := p.o.SweepEvery
	err := errors.Join(p.lookForWaiting(ctx), p.withdrawGone(ctx))
	if err != nil {
		p.o.Logger.WarnContext(ctx, "github: the sweep for waiting deployments is incomplete", "error", err)
		next = max(next, retryAfter(err))
	}
	return p.sweepIn(wide, next)
}

func retryAfter(err error) time.Duration {
	var coded *gatekeeper.Error
	if errors.As(err, &coded) {
		return coded.RetryAfter
	}
	return 0
}

// lookForWaiting goes over all installations. One that fails does not keep
// the others from being looked at.
func (p *Protection) lookForWaiting(ctx context.Context) error {
	var all []error
	page := &github.ListOptions{PerPage: pageSize}
	for {
		installations, resp, err := p.o.Client.app.Apps.ListInstallations(ctx, page)
		if err != nil {
			return unavailable(err, "list the App's installations")
		}
		for _, i := range installations {
			if i.SuspendedAt == nil {
				all = append(all, p.sweepInstallation(ctx, i.GetID()))
			}
		}
		if resp.NextPage == 0 {
			return errors.Join(all...)
		}
		page.Page = resp.NextPage
	}
}

// sweepInstallation looks at so many repositories as one sweep may, beginning
// where the last one ended.
func (p *Protection) sweepInstallation(ctx context.Context, id int64) error {
	client := p.o.Client.ofInstallation(id)
	names, err := p.repositories(ctx, client)
	if err != nil {
		return err
	}
	from := p.cursor(ctx, id, len(names))
	count := min(len(names), p.o.Repositories)
	var failed []error
	for i := range count {
		name := names[(from+i)%len(names)]
		resp, err := p.sweepRepository(ctx, client, name)
		failed = append(failed, err)
		if ctx.Err() != nil || retryAfter(err) > 0 || scarce(resp) {
			count = i + 1
			break
		}
	}
	if len(names) > 0 {
		next := []byte(strconv.Itoa((from + count) % len(names)))
		failed = append(failed, p.o.Memory.SetNote(ctx, noteSweep, strconv.FormatInt(id, 10), next))
	}
	return errors.Join(failed...)
}

// scarce says that the sweep has used its part of the rate limit.
func scarce(resp *github.Response) bool {
	return resp != nil && resp.Rate.Limit > 0 && resp.Rate.Remaining < resp.Rate.Limit/reserve
}

func (p *Protection) cursor(ctx context.Context, id int64, length int) int {
	body, err := p.o.Memory.Note(ctx, noteSweep, strconv.FormatInt(id, 10))
	from, bad := strconv.Atoi(string(body))
	if err != nil || bad != nil || from < 0 || length <= p.o.Repositories || from >= length {
		return 0
	}
	return from
}

func (p *Protection) repositories(ctx context.Context, client *github.Client) ([]string, error) {
	var names []string
	page := &github.ListOptions{PerPage: pageSize}
	for {
		list, resp, err := client.Apps.ListRepos(ctx, page)
		if err != nil {
			return names, unavailable(err, "list the installation's repositories")
		}
		for _, r := range list.Repositories {
			if !r.GetArchived() && !r.GetDisabled() && fullName.MatchString(r.GetFullName()) {
				names = append(names, r.GetFullName())
			}
		}
		if resp.NextPage == 0 {
			return names, nil
		}
		page.Page = resp.NextPage
	}
}

// sweepRepository opens a request for each deployment that waits for us.
func (p *Protection) sweepRepository(ctx context.Context, client *github.Client, repository string) (*github.Response, error) {
	owner, repo, _ := strings.Cut(repository, "/")
	var list struct {
		Runs []struct {
			ID      int64 `json:"id"`
			Attempt int   `json:"run_attempt"`
		} `json:"workflow_runs"`
	}
	resp, err := get(ctx, client, repoPath(owner, repo)+"/actions/runs?"+url.Values{"status": {"waiting"}, "per_page": {strconv.Itoa(maxWaiting)}}.Encode(), &list)
	if err != nil {
		return resp, unavailable(err, "list the runs of "+repository+" that wait")
	}
	guarded := map[string]protection{}
	var failed []error
	for _, run := range list.Runs {
		failed = append(failed, p.sweepRun(ctx, client, gatekeeper.DeploymentRef{Repository: repository, RunID: strconv.FormatInt(run.ID, 10), Via: viaSweep}, jsonInt(run.Attempt), guarded))
	}
	return resp, errors.Join(failed...)
}

// protection says whose custom rules an environment has.
type protection struct{ ours, others bool }

// sweepRun looks at the environments that a run waits for.
func (p *Protection) sweepRun(ctx context.Context, client *github.Client, ref gatekeeper.DeploymentRef, attempt string, guarded map[string]protection) error {
	pending, err := waitingIn(ctx, client, ref.Repository, ref.RunID)
	if err != nil {
		return err
	}
	var failed []error
	for _, waits := range pending {
		ref.Environment = waits.Environment.Name
		failed = append(failed, p.sweepEnvironment(ctx, client, ref, attempt, waits, guarded))
	}
	return errors.Join(failed...)
}

// sweepEnvironment opens a request where GitHub waits for us. What was told
// its outcome and still waits may wait for other rules; where there are none,
// it is another job of the run, whose webhook was lost.
func (p *Protection) sweepEnvironment(ctx context.Context, client *github.Client, ref gatekeeper.DeploymentRef, attempt string, waits pendingDeployment, guarded map[string]protection) error {
	rules, known := guarded[ref.Environment]
	if !known {
		var err error
		if rules.ours, rules.others, err = p.o.Client.guarded(ctx, client, ref.Repository, ref.Environment); err != nil {
			return err
		}
		guarded[ref.Environment] = rules
	}
	if !rules.ours {
		return nil
	}
	told, err := p.reports(ctx, reportsKey(ref.Repository, ref.RunID, ref.Environment))
	if err != nil {
		return err
	}
	if told.State != "" && told.Attempt == attempt {
		if rules.others || waits.others() {
			return nil
		}
		if err := p.again(ctx, ref); err != nil {
			return err
		}
	}
	if err := p.open(ctx, ref); gatekeeper.CodeOf(err) != gatekeeper.CodeSlowDown {
		return err
	}
	return nil // too many of this repository wait for people: the next sweep looks again
}

// withdrawGone ends requests whose run is over without an outcome of ours: it
// was canceled, or failed elsewhere. Nobody should be asked about it.
func (p *Protection) withdrawGone(ctx context.Context) error {
	pending, err := p.o.Memory.Find(ctx, gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Pending}, Limit: 1000})
	if err != nil {
		return err
	}
	var failed []error
	for _, r := range pending {
		if r.Deployment == nil {
			continue
		}
		_, run, err := p.o.Client.run(ctx, r.Workload.Repository, r.Workload.RunID)
		switch {
		case gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound:
			_, err = p.o.Gate.Withdraw(ctx, r.ID, "GitHub no longer shows the run")
		case err == nil && (run.over() || jsonInt(run.Attempt) != r.Workload.RunAttempt):
			_, err = p.o.Gate.Withdraw(ctx, r.ID, "the run is over on GitHub")
		}
		failed = append(failed, err)
		if retryAfter(err) > 0 {
			break
		}
	}
	return errors.Join(failed...)
}

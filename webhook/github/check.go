package github

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

const (
	// WorkCheck shows a request's wait on its commit. key: request id.
	WorkCheck = "github.check"
	noteCheck = "github.check"
	// checkTries bounds how long a mere display is tried for.
	checkTries = 30
)

// OnCommit shows each request as a check run on its commit, with a link to its
// page. A check run says nothing about the deployment itself, whose statuses
// are GitHub's own, so it is in nobody's way. Without the permission to write
// checks it is left out.
type OnCommit struct {
	Client    *Client
	Memory    Memory
	PublicURL string
	Logger    *slog.Logger
}

// checkNote is what is shown so far.
type checkNote struct {
	ID    int64  `json:"id,omitempty"`
	Shown string `json:"shown,omitempty"` // the state with its votes
	Off   bool   `json:"off,omitempty"`   // no permission: left out
}

// Want has the check run brought up to date where it is not.
func (c OnCommit) Want(ctx context.Context, id string) error {
	r, err := c.Memory.Get(ctx, id)
	if err != nil || r.Rule.Approval.None || !c.Client.knows(r.Workload) {
		return err
	}
	n, err := c.note(ctx, id)
	if err != nil || n.Off || n.Shown == progress(r) {
		return err
	}
	return c.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkCheck, Key: id}}})
}

// Handlers are the durable work of check runs, by kind.
func (c OnCommit) Handlers() map[string]gatekeeper.WorkHandler {
	return map[string]gatekeeper.WorkHandler{WorkCheck: c.show}
}

func (c OnCommit) note(ctx context.Context, id string) (n checkNote, err error) {
	body, err := c.Memory.Note(ctx, noteCheck, id)
	if err != nil || body == nil {
		return n, err
	}
	return n, json.Unmarshal(body, &n)
}

func (c OnCommit) keep(ctx context.Context, id string, n checkNote) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return c.Memory.SetNote(ctx, noteCheck, id, body)
}

func (c OnCommit) show(ctx context.Context, w gatekeeper.Work) error {
	r, err := c.Memory.Get(ctx, w.Key)
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound {
		return nil
	}
	n, noteErr := c.note(ctx, w.Key)
	if err != nil || noteErr != nil || n.Off || n.Shown == progress(r) {
		return firstOf(err, noteErr)
	}
	id, err := c.put(ctx, r, n.ID, w.Attempt)
	switch {
	case forbidden(err):
		c.Logger.DebugContext(ctx, "github: no check run on the commit, the App may not write checks there", "request", r.ID, "error", err)
		return c.keep(ctx, r.ID, checkNote{Off: true})
	case err != nil && w.Attempt >= checkTries:
		c.Logger.WarnContext(ctx, "github: the check run on the commit is not up to date", "request", r.ID, "error", err)
		return nil
	case err != nil:
		return unavailable(err, "show the request on commit "+r.Workload.SHA)
	}
	return c.keep(ctx, r.ID, checkNote{ID: id, Shown: progress(r)})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// put creates or updates the check run. A try after one whose answer was lost
// looks for it first.
func (c OnCommit) put(ctx context.Context, r gatekeeper.Request, id int64, attempt int) (int64, error) {
	client, owner, repo, err := c.Client.of(ctx, r.Workload)
	if err != nil {
		return 0, err
	}
	view := c.view(r)
	if id == 0 && attempt > 1 {
		if id, err = find(ctx, client, owner, repo, r, view.Name); err != nil {
			return 0, err
		}
	}
	if id == 0 {
		made, _, err := client.Checks.CreateCheckRun(ctx, owner, repo, view)
		return made.GetID(), err
	}
	_, _, err = client.Checks.UpdateCheckRun(ctx, owner, repo, id, github.UpdateCheckRunOptions{
		Name: view.Name, DetailsURL: view.DetailsURL, ExternalID: view.ExternalID, Status: view.Status, Conclusion: view.Conclusion,
		CompletedAt: view.CompletedAt, Output: view.Output,
	})
	return id, err
}

func find(ctx context.Context, client *github.Client, owner, repo string, r gatekeeper.Request, name string) (int64, error) {
	all, _, err := client.Checks.ListCheckRunsForRef(ctx, owner, repo, r.Workload.SHA, &github.ListCheckRunsOptions{
		CheckName: &name, Filter: github.String("all"), ListOptions: github.ListOptions{PerPage: pageSize},
	})
	if err != nil {
		return 0, err
	}
	for _, run := range all.CheckRuns {
		if run.GetExternalID() == r.ID {
			return run.GetID(), nil
		}
	}
	return 0, nil
}

// conclusions of what is decided. Only an approval is a success: what ran out
// must not look as if it had been one.
var conclusions = map[gatekeeper.State]string{
	gatekeeper.Approved: "success", gatekeeper.Denied: "failure", gatekeeper.Revoked: "failure",
	gatekeeper.Expired: "cancelled", gatekeeper.Canceled: "cancelled", gatekeeper.Superseded: "cancelled",
}

func (c OnCommit) view(r gatekeeper.Request) github.CreateCheckRunOptions {
	page := c.PublicURL + "/requests/" + r.ID
	title := progress(r)
	summary := "Rule " + plain(r.Rule.Name) + ". [Request " + r.ID + "](" + page + ")"
	o := github.CreateCheckRunOptions{
		Name: "Gatekeeper: " + plain(r.Environment), HeadSHA: r.Workload.SHA, DetailsURL: &page, ExternalID: github.String(r.ID),
		Status: github.String("in_progress"), StartedAt: &github.Timestamp{Time: r.CreatedAt},
		Output: &github.CheckRunOutput{Title: &title, Summary: &summary},
	}
	if conclusion, over := conclusions[r.State]; over {
		o.Status, o.Conclusion = github.String("completed"), &conclusion
		o.CompletedAt = &github.Timestamp{Time: r.DecidedAt.Truncate(time.Second)}
	}
	return o
}

// progress is the state in a few words, the same for the same state.
func progress(r gatekeeper.Request) string {
	if r.State == gatekeeper.Pending {
		return fmt.Sprintf("Waiting for approval: %d of %d", len(r.ApprovedBy()), r.Quorum())
	}
	text, _, _ := strings.Cut(commentOf(r, ""), "\n")
	return shorten(text, 250)
}

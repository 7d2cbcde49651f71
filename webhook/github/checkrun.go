package github

import (
	"context"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// The Checks API's limits
// (https://docs.github.com/rest/checks/runs#create-a-check-run), and ours for
// remarks: whoever reads more than that reads the list.
const (
	remarksPerCall = 50
	maxRemarks     = 500
	maxCheckText   = 65535
	maxMessage     = 4000 // of 64 KiB
)

// runs are this App's check runs of rules at a commit.
func (c *RuleChecks) runs(ctx context.Context, sha string) ([]*github.CheckRun, error) {
	client, err := c.files.repository(ctx)
	if err != nil {
		return nil, err
	}
	found, _, err := client.Checks.ListCheckRunsForRef(ctx, c.o.At.Owner, c.o.At.Repo, sha, &github.ListCheckRunsOptions{
		CheckName: github.String(RuleCheckName), AppID: &c.o.Client.o.AppID, Filter: github.String("all"), ListOptions: github.ListOptions{PerPage: 100},
	})
	if err != nil {
		return nil, unavailable(err, "list the check runs of "+sha)
	}
	return found.CheckRuns, nil
}

// made says whether this check was made already. One that a crash left half
// told is ended, and made anew: annotations can only be added.
func (c *RuleChecks) made(ctx context.Context, client *github.Client, sha, external string) (bool, error) {
	runs, err := c.runs(ctx, sha)
	if err != nil {
		return false, err
	}
	for _, run := range runs {
		switch {
		case run.GetExternalID() != external:
		case run.GetStatus() == "completed" && run.GetConclusion() != "stale" && run.GetOutput().GetTitle() != leftHalf:
			return true, nil
		case run.GetStatus() != "completed":
			_, _, err := client.Checks.UpdateCheckRun(ctx, c.o.At.Owner, c.o.At.Repo, run.GetID(), github.UpdateCheckRunOptions{
				Name: RuleCheckName, Conclusion: github.String("neutral"),
				Output: &github.CheckRunOutput{Title: github.String(leftHalf), Summary: github.String("It was begun and not ended; another one takes its place.")},
			})
			if err != nil {
				return false, unavailable(err, "end a check run that was left")
			}
		}
	}
	return false, nil
}

const leftHalf = "Left half told"

// post tells the report: in one call where its remarks fit, which then is all
// or nothing, else 50 a call, the last of which concludes.
func (c *RuleChecks) post(ctx context.Context, client *github.Client, sha, external string, r Report, neutral bool, began time.Time) error {
	conclusion := "success"
	switch {
	case neutral:
		conclusion = "neutral"
	case r.Failed:
		conclusion = "failure"
	}
	remarks := annotations(r.Remarks)
	first, rest := remarks[:min(len(remarks), remarksPerCall)], remarks[min(len(remarks), remarksPerCall):]
	make := github.CreateCheckRunOptions{
		Name: RuleCheckName, HeadSHA: sha, ExternalID: &external, StartedAt: &github.Timestamp{Time: began}, Output: output(r, first), Status: github.String("in_progress"),
	}
	if len(rest) == 0 {
		make.Status, make.Conclusion = github.String("completed"), &conclusion
	}
	run, _, err := client.Checks.CreateCheckRun(ctx, c.o.At.Owner, c.o.At.Repo, make)
	for err == nil && len(rest) > 0 {
		next := rest[:min(len(rest), remarksPerCall)]
		rest = rest[len(next):]
		change := github.UpdateCheckRunOptions{Name: RuleCheckName, Output: output(r, next)}
		if len(rest) == 0 {
			change.Conclusion = &conclusion
		}
		_, _, err = client.Checks.UpdateCheckRun(ctx, c.o.At.Owner, c.o.At.Repo, run.GetID(), change)
	}
	return err
}

func output(r Report, remarks []*github.CheckRunAnnotation) *github.CheckRunOutput {
	o := &github.CheckRunOutput{Title: github.String(cut(r.Title, 250)), Summary: github.String(cut(r.Summary, maxCheckText)), Annotations: remarks}
	if r.Text != "" {
		o.Text = github.String(plainText(r.Text))
	}
	return o
}

// plainText is a block in which nothing is Markdown: it is indented, so no
// fence in it can end it, and cut to what the API takes.
func plainText(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("    " + strings.TrimRight(line, "\r\n") + "\n")
		if b.Len() > maxCheckText-2000 {
			b.WriteString("    … and more; `gatekeeper rules check` and `rules test` tell all of it\n")
			break
		}
	}
	return cut(b.String(), maxCheckText)
}

func cut(s string, n int) string {
	return gatekeeper.Shorten(strings.ToValidUTF8(s, "\uFFFD"), n)
}

func annotations(remarks []Remark) []*github.CheckRunAnnotation {
	var all []*github.CheckRunAnnotation
	for _, r := range remarks[:min(len(remarks), maxRemarks)] {
		line, level := max(r.Line, 1), "warning"
		if r.Failure {
			level = "failure"
		}
		a := &github.CheckRunAnnotation{
			Path: github.String(r.File), StartLine: &line, EndLine: &line, AnnotationLevel: &level,
			Message: github.String(cut(r.Message, maxMessage)), Title: github.String(cut(r.Title, 250)),
		}
		if r.Column > 0 {
			a.StartColumn, a.EndColumn = github.Int(r.Column), github.Int(r.Column)
		}
		all = append(all, a)
	}
	return all
}

package github

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// RuleCheckName is what the check run of a pull request is called.
const RuleCheckName = "gatekeeper rules"

// Report is what a check of rules came to.
type Report struct {
	Failed  bool
	Title   string
	Summary string   // Markdown of ours alone: who opens a pull request writes none of it
	Text    string   // plain text, shown as it is
	Remarks []Remark // at the lines of the files
}

// Remark is one fault at its place.
type Remark struct {
	File         string
	Line, Column int
	Failure      bool // else a warning
	Title        string
	Message      string
}

// busyWait is how long a check waits for another one's end.
const busyWait = 2 * time.Second

// RuleChecksOptions are the parts of [RuleChecks]. All but Logger are needed.
type RuleChecksOptions struct {
	Client *Client
	At     Location
	Check  func(ctx context.Context, files []File) Report
	Logger *slog.Logger
}

// RuleChecks answers pull requests that touch the rules with a check run. The
// files are read as they are at the pull request's head, also a fork's, and
// nothing of them is run. It is safe for concurrent use.
type RuleChecks struct {
	o     RuleChecksOptions
	files *Files
	hands chan struct{} // one check at a time: strangers may send many
}

// NewRuleChecks asks nobody yet.
func NewRuleChecks(o RuleChecksOptions) *RuleChecks {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &RuleChecks{o: o, files: NewFiles(o.Client, o.At), hands: make(chan struct{}, 1)}
}

// Subscriptions are the events that ask for a check.
func (c *RuleChecks) Subscriptions() Subscriptions {
	return Subscriptions{
		// "edited" is for another base branch; other edits find their check made.
		"pull_request": {Actions: []string{"opened", "synchronize", "reopened", "edited"}, Handle: c.opened},
		"check_run":    {Actions: []string{"rerequested"}, Handle: c.again},
		"check_suite":  {Actions: []string{"rerequested"}, Handle: c.suiteAgain},
	}
}

// ruleHook is what is read of the three events.
type ruleHook struct {
	Number     int        `json:"number"`
	Repository repository `json:"repository"`
	CheckRun   struct {
		Name       string `json:"name"`
		ExternalID string `json:"external_id"`
		App        struct {
			ID int64 `json:"id"`
		} `json:"app"`
	} `json:"check_run"`
	CheckSuite struct {
		HeadSHA string `json:"head_sha"`
	} `json:"check_suite"`
}

func (c *RuleChecks) read(e Event) (h ruleHook, ours bool) {
	err := json.Unmarshal(e.Payload, &h)
	return h, err == nil && h.Repository.is(c.o.At)
}

func (c *RuleChecks) opened(ctx context.Context, e Event) error {
	h, ours := c.read(e)
	if !ours || h.Number <= 0 {
		return nil
	}
	return c.check(ctx, h.Number, h.Repository.DefaultBranch, "")
}

// again is for one of our check runs: its external id names the pull request,
// which GitHub does not tell for forks.
func (c *RuleChecks) again(ctx context.Context, e Event) error {
	h, ours := c.read(e)
	number, named := pullOf(h.CheckRun.ExternalID)
	if !ours || !named || h.CheckRun.Name != RuleCheckName || h.CheckRun.App.ID != c.o.Client.o.AppID {
		return nil
	}
	return c.check(ctx, number, h.Repository.DefaultBranch, e.Delivery)
}

func (c *RuleChecks) suiteAgain(ctx context.Context, e Event) error {
	h, ours := c.read(e)
	if !ours || !commitID.MatchString(h.CheckSuite.HeadSHA) {
		return nil
	}
	runs, err := c.runs(ctx, h.CheckSuite.HeadSHA)
	if err != nil {
		return err
	}
	seen := map[int]bool{}
	for _, run := range runs {
		number, ok := pullOf(run.GetExternalID())
		if !ok || seen[number] {
			continue
		}
		seen[number] = true
		if err := c.check(ctx, number, h.Repository.DefaultBranch, e.Delivery); err != nil {
			return err
		}
	}
	return nil
}

// externalID tells a check by what it is of, so that one that was made is not
// made again. again is "" or the delivery that asked for it once more.
func externalID(number int, sha, again string) string {
	return strings.TrimSuffix(fmt.Sprintf("rules:%d:%s:%s", number, sha, again), ":")
}

func pullOf(external string) (int, bool) {
	parts := strings.Split(external, ":")
	if len(parts) < 3 || parts[0] != "rules" {
		return 0, false
	}
	number, err := strconv.Atoi(parts[1])
	return number, err == nil && number > 0
}

// check makes the check run of a pull request's head, once.
func (c *RuleChecks) check(ctx context.Context, number int, defaultBranch, again string) error {
	select {
	case c.hands <- struct{}{}:
		defer func() { <-c.hands }()
	default: // whoever opens many keeps no other work waiting
		return &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: busyWait, Description: "another pull request's rules are being checked"}
	}
	client, err := c.files.repository(ctx)
	if err != nil {
		return err
	}
	pull, _, err := client.PullRequests.Get(ctx, c.o.At.Owner, c.o.At.Repo, number)
	if err != nil {
		return c.given(ctx, err, "read pull request "+strconv.Itoa(number))
	}
	sha := pull.GetHead().GetSHA()
	if pull.GetState() != "open" || !c.o.At.followed("refs/heads/"+pull.GetBase().GetRef(), defaultBranch) || !commitID.MatchString(sha) {
		return nil
	}
	external := externalID(number, sha, again)
	made, err := c.made(ctx, client, sha, external)
	if err != nil || made {
		return err
	}
	began := time.Now()
	report, neutral, err := c.report(ctx, client, number, sha)
	if err != nil {
		return err
	}
	if err := c.post(ctx, client, sha, external, report, neutral, began); err != nil {
		return c.given(ctx, err, "make a check run")
	}
	c.o.Logger.InfoContext(ctx, "github: rules of a pull request were checked", "pull", number, "sha", sha, "failed", report.Failed, "remarks", len(report.Remarks))
	return nil
}

// report reads and checks. What is wrong with the files is the report; what
// is wrong with GitHub is an error, and tried again.
func (c *RuleChecks) report(ctx context.Context, client *github.Client, number int, sha string) (r Report, neutral bool, err error) {
	touches, err := c.touches(ctx, client, number)
	if err != nil {
		return Report{}, false, err
	}
	if !touches {
		return Report{Title: "The rules are not touched", Summary: "No file of `" + c.o.At.String() + "` changes."}, true, nil
	}
	files, err := c.files.At(ctx, sha)
	switch code := gatekeeper.CodeOf(err); {
	case code == gatekeeper.CodeNotFound || code == gatekeeper.CodeInvalidRequest:
		return Report{Failed: true, Title: "The rules cannot be read", Summary: "Merged like this, they do not come into force: the rules in force stay as they are.", Text: err.Error()}, false, nil
	case err != nil:
		return Report{}, false, err
	}
	return c.o.Check(ctx, files), false, nil
}

// maxPullFiles is how many files of a pull request GitHub lists
// (https://docs.github.com/rest/pulls/pulls#list-pull-requests-files).
const maxPullFiles = 3000

// touches says whether a pull request changes a file of rules; more than
// GitHub lists count as one that does.
func (c *RuleChecks) touches(ctx context.Context, client *github.Client, number int) (bool, error) {
	page, seen := &github.ListOptions{PerPage: 100}, 0
	for {
		files, resp, err := client.PullRequests.ListFiles(ctx, c.o.At.Owner, c.o.At.Repo, number, page)
		if err != nil {
			return false, unavailable(err, "list the files of pull request "+strconv.Itoa(number))
		}
		for _, f := range files {
			if c.o.At.Covers(f.GetFilename()) || f.GetPreviousFilename() != "" && c.o.At.Covers(f.GetPreviousFilename()) {
				return true, nil
			}
		}
		if seen += len(files); seen >= maxPullFiles {
			return true, nil
		}
		if resp.NextPage == 0 {
			return false, nil
		}
		page.Page = resp.NextPage
	}
}

// given gives up on what another try does not change: a missing permission.
func (c *RuleChecks) given(ctx context.Context, err error, what string) error {
	if forbidden(err) {
		c.o.Logger.ErrorContext(ctx, "github: the App may not "+what+"; checks of rules need checks: write, pull_requests: read and contents: read", "repository", c.o.At.Repository(), "error", err)
		return nil
	}
	return unavailable(err, what)
}

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// maxTestWork bounds what a pull request may make us compute: tests times
// rules, each of which is looked at.
const maxTestWork = 2_000_000

// rulesSubscriptions are the webhooks of the repository that holds the rules.
func (s *service) rulesSubscriptions() github.Subscriptions {
	from, ok := s.rules.source.(repository)
	if !ok {
		return nil
	}
	checks := github.NewRuleChecks(github.RuleChecksOptions{
		Client: s.github.client, At: from.Location(), Logger: s.log,
		Check: func(_ context.Context, files []github.File) github.Report {
			return proposedRules(asRules(files), surroundings{config: &s.cfg, options: s.ruleOptions()}, time.Now())
		},
	})
	subscriptions := checks.Subscriptions()
	subscriptions["push"] = github.OnPush(from.Location(), func(ctx context.Context) error {
		_ = s.reload(ctx, false) // told, and tried again by the clock soon
		return nil
	})
	return subscriptions
}

// proposedRules are held to `rules check` and `rules test` over files that somebody
// proposes, as the service would read them.
func proposedRules(files []rules.File, around surroundings, now time.Time) github.Report {
	set, faults := rules.Parse(files, around.options)
	if len(files) == 0 {
		return github.Report{Failed: true, Title: "There are no rule files", Summary: "Without rules every request would be refused. Merged like this, they do not come into force: the rules in force stay as they are."}
	}
	var r github.Report
	for _, f := range faults {
		title := "rules check: error"
		if f.Warning {
			title = "rules check: warning"
		}
		r.Remarks = append(r.Remarks, github.Remark{File: f.File, Line: f.Line, Column: f.Column, Failure: !f.Warning, Title: title, Message: f.Message})
	}
	errs := len(faults.Errors())
	r.Failed = errs > 0
	tally := count(errs, "error") + ", " + count(len(faults)-errs, "warning")
	lines := []string{faults.Error()}
	if set != nil {
		tested, failed := testRules(set, around, now)
		tally = count(set.Len(), "rule") + ", " + tally + ", " + tested
		r.Remarks, r.Failed = append(r.Remarks, failed...), r.Failed || len(failed) > 0
		for _, f := range failed {
			lines = append(lines, fmt.Sprintf("%s:%d: %s\n%s", f.File, f.Line, f.Title, f.Message))
		}
	}
	r.Title, r.Text = tally, strings.TrimSpace(strings.Join(lines, "\n"))
	r.Summary = "`gatekeeper rules check` and `rules test`: " + tally + "."
	switch {
	case errs > 0:
		r.Summary += " Merged like this, they do not come into force: the rules in force stay as they are."
	case r.Failed:
		r.Summary += " Failing tests do not keep rules from coming into force; do not merge them like this."
	}
	return r
}

// testRules runs the tests beside the rules.
func testRules(set *rules.Rules, around surroundings, now time.Time) (tally string, failed []github.Remark) {
	if n := set.Tests(); n*set.Len() > maxTestWork {
		return "tests not run", []github.Remark{{File: set.List()[0].File, Line: 1, Failure: true, Title: "rules test: too many", Message: fmt.Sprintf(
			"%d tests of %d rules are too many to be run here; run `gatekeeper rules test` in a job", n, set.Len())}}
	}
	results := set.RunTests(around.workload, now)
	for _, t := range results {
		if len(t.Diff) > 0 {
			failed = append(failed, github.Remark{
				File: t.File, Line: t.Line, Column: t.Column, Failure: true, Title: "rules test: " + t.Name,
				Message: strings.Join(t.Diff, "\n") + "\nbecause " + t.Because(),
			})
		}
	}
	return fmt.Sprintf("%d of %s passed", len(results)-len(failed), count(len(results), "test")), failed
}

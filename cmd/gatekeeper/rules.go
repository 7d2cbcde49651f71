package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/urfave/cli/v2"
)

func rulesCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "rules", Usage: "check, explain and test rules",
		Subcommands: []*cli.Command{
			{
				Name: "check", Usage: "tell every error and warning", ArgsUsage: "PATH",
				Action: func(c *cli.Context) error { return rulesCheck(w, c) },
			},
			{
				Name: "explain", Usage: "say which rule decides, and why each earlier one does not",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "rules", Usage: "file or directory of rules"},
					&cli.StringFlag{Name: "environment", Usage: "what is asked for"},
					&cli.StringFlag{Name: "claims", Usage: "`FILE` with the token's claims as JSON"},
					&cli.StringFlag{Name: "issuer", Value: "github", Usage: "type of the token's issuer"},
					&cli.StringFlag{Name: "at", Usage: "decide as of this time (RFC 3339), for freezes"},
					&cli.StringFlag{Name: "output", Value: "text", Usage: "text or json"},
				},
				Action: func(c *cli.Context) error { return rulesExplain(w, c) },
			},
			{
				Name: "test", Usage: "run the tests: blocks", ArgsUsage: "PATH",
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "cover", Usage: "name the rules that no test reaches"}},
				Action: func(c *cli.Context) error { return rulesTest(w, c) },
			},
		},
	}
}

func rulesCheck(w world, c *cli.Context) error {
	if c.Args().Len() != 1 {
		return cli.Exit("rules check takes one file or directory", exitUsage)
	}
	set, faults := rules.Load(c.Args().First(), rules.Options{})
	for _, f := range faults {
		fmt.Fprintln(w.stdout, f)
	}
	if err := faults.Err(); err != nil {
		return cli.Exit(fmt.Sprintf("%d errors", len(faults.Errors())), exitFailed)
	}
	fmt.Fprintf(w.stdout, "%s: ok, %d rules, %d warnings\n", c.Args().First(), set.Len(), len(faults))
	return nil
}

// loadRules is for commands that need rules without errors.
func loadRules(w world, path string) (*rules.Rules, error) {
	set, faults := rules.Load(path, rules.Options{})
	if faults.Err() == nil {
		return set, nil
	}
	for _, f := range faults.Errors() {
		fmt.Fprintln(w.stderr, f)
	}
	return nil, cli.Exit("the rules have errors", exitFailed)
}

func rulesExplain(w world, c *cli.Context) error {
	for _, name := range []string{"rules", "environment", "claims"} {
		if c.String(name) == "" {
			return cli.Exit("--"+name+" is missing", exitUsage)
		}
	}
	at := time.Now()
	if raw := c.String("at"); raw != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, raw); err != nil {
			return cli.Exit("--at is a time such as 2026-12-20T10:00:00Z", exitUsage)
		}
	}
	set, err := loadRules(w, c.String("rules"))
	if err != nil {
		return err
	}
	workload, err := workloadOf(c.String("issuer"), c.String("claims"))
	if err != nil {
		return cli.Exit(said(err), exitUsage)
	}
	d := set.Explain(workload, c.String("environment"), at)
	switch c.String("output") {
	case "json":
		err = explainJSON(w, d)
	case "text":
		explainText(w, workload, c.String("environment"), d)
	default:
		return cli.Exit("--output is text or json", exitUsage)
	}
	if err != nil {
		return err
	}
	switch d.Outcome {
	case gatekeeper.Allow:
		return nil
	case gatekeeper.NeedApproval:
		return cli.Exit("", exitDenied) // 3: approval needed
	}
	return cli.Exit("", exitNotPermitted)
}

func workloadOf(issuer, path string) (gatekeeper.Workload, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return gatekeeper.Workload{}, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the claims cannot be read: %v", err)
	}
	claims, err := oidc.StrictJSON(body)
	if err != nil {
		return gatekeeper.Workload{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s: %v; it has to be one JSON object, a token's claims", path, err)
	}
	return oidc.WorkloadFromClaims(issuer, "", "", claims)
}

// explainText prints what a person reads from top to bottom: the rules in
// order, the deciding one last.
func explainText(w world, workload gatekeeper.Workload, environment string, d gatekeeper.Decision) {
	fmt.Fprintf(w.stdout, "%s asks for %s\n\n", oneLine(workload.Repository), oneLine(environment))
	for _, c := range d.Considered {
		mark, why := "no ", ""
		switch {
		case c.Matched && c.Observed:
			mark, why = "obs", "would decide, but only observes"
		case c.Matched:
			mark, why = "YES", "everything matches"
		case c.Mismatch != nil:
			why = rules.Say(*c.Mismatch)
		}
		fmt.Fprintf(w.stdout, "  %s  %-32s %s:%d\n       %s\n", mark, c.Rule, c.File, c.Line, oneLine(why))
	}
	fmt.Fprintf(w.stdout, "\n%s: %s\n", outcome(d), oneLine(d.Reason))
	if d.Outcome != gatekeeper.NeedApproval {
		return
	}
	for _, g := range d.Rule.Approval.Groups {
		fmt.Fprintf(w.stdout, "  %d of %s%s\n", g.Quorum, groupName(g), list(g.Approvers))
	}
	if g := d.BreakGlass; g != nil {
		fmt.Fprintf(w.stdout, "  in an emergency: %d of %s%s, said aloud in %s\n", g.Group.Quorum, groupName(g.Group), list(g.Group.Approvers), orDefault(g.Channel))
	}
}

func outcome(d gatekeeper.Decision) string {
	switch d.Outcome {
	case gatekeeper.Allow:
		return "allowed"
	case gatekeeper.NeedApproval:
		return "approval needed"
	}
	return "refused"
}

func groupName(g gatekeeper.Group) string {
	if g.Name == "" {
		return ""
	}
	return g.Name + ": "
}

func list(approvers []gatekeeper.Approver) string {
	all := make([]string, len(approvers))
	for i, a := range approvers {
		all[i] = string(a)
	}
	return strings.Join(all, ", ")
}

func orDefault(channel string) string {
	if channel == "" {
		return "the request's channel"
	}
	return channel
}

func explainJSON(w world, d gatekeeper.Decision) error {
	name := ""
	if d.Rule != nil {
		name = d.Rule.Name
	}
	e := json.NewEncoder(w.stdout)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Outcome    string                  `json:"outcome"` // allow, approve or deny
		Rule       string                  `json:"rule"`
		Reason     string                  `json:"reason"`
		Freeze     string                  `json:"freeze,omitempty"`
		BreakGlass *gatekeeper.BreakGlass  `json:"break_glass,omitempty"`
		Considered []gatekeeper.Considered `json:"considered"`
	}{d.Outcome.String(), name, d.Reason, d.Freeze, d.BreakGlass, d.Considered})
}

func rulesTest(w world, c *cli.Context) error {
	if c.Args().Len() != 1 {
		return cli.Exit("rules test takes one file or directory", exitUsage)
	}
	set, err := loadRules(w, c.Args().First())
	if err != nil {
		return err
	}
	read := func(issuer string, claims map[string]any) (gatekeeper.Workload, error) {
		return oidc.WorkloadFromClaims(issuer, "", "", claims)
	}
	failed, reached := 0, map[string]bool{}
	results := set.RunTests(read, time.Now())
	for _, r := range results {
		if r.Got.Rule != nil {
			reached[r.Got.Rule.Name] = true
		}
		if len(r.Diff) == 0 {
			fmt.Fprintf(w.stdout, "ok    %s\n", r.Name)
			continue
		}
		failed++
		fmt.Fprintf(w.stdout, "FAIL  %s (%s:%d)\n      %s\n", r.Name, r.File, r.Line, strings.Join(r.Diff, "\n      "))
	}
	if c.Bool("cover") {
		for _, name := range set.Names() {
			if !reached[name] {
				fmt.Fprintf(w.stdout, "no test reaches rule %s\n", name)
			}
		}
		fmt.Fprintf(w.stdout, "%d of %d rules are reached\n", len(reached), set.Len())
	}
	fmt.Fprintf(w.stdout, "%d passed, %d failed\n", len(results)-failed, failed)
	if failed > 0 {
		return cli.Exit("", exitFailed)
	}
	return nil
}

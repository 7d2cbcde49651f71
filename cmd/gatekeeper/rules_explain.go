package main

import (
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/urfave/cli/v2"
)

func rulesExplainCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "say which rule decides, and why each earlier one does not",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "rules", Usage: "file or directory of rules"},
			&cli.StringFlag{Name: "environment", Usage: "what is asked for"},
			&cli.StringFlag{Name: "claims", Usage: "`FILE` with the token's claims as JSON"},
			&cli.StringFlag{Name: "issuer", Value: "github", Usage: "type of the token's issuer, or its name in --config"},
			configFlag(),
			&cli.StringFlag{Name: "at", Usage: "decide as of this time (RFC 3339), for freezes"},
			&cli.StringFlag{Name: "output", Value: "text", Usage: "text or json"},
		},
		Action: func(c *cli.Context) error { return rulesExplain(w, c) },
	}
}

func rulesExplain(w world, c *cli.Context) error {
	for _, name := range []string{"rules", "environment", "claims"} {
		if c.String(name) == "" {
			return cli.Exit("--"+name+" is missing", exitUsage)
		}
	}
	if output := c.String("output"); output != "text" && output != "json" {
		return cli.Exit("--output is text or json", exitUsage)
	}
	at, err := timeFlag(c, "at")
	if err != nil {
		return err
	}
	e, err := explained(w, c, at)
	if err != nil {
		return err
	}
	if c.String("output") == "json" {
		err = e.json(w)
	} else {
		e.text(w)
	}
	if err != nil {
		return err
	}
	return e.exit()
}

// timeFlag is a flag's time, now where it is not given.
func timeFlag(c *cli.Context, name string) (time.Time, error) {
	raw := c.String(name)
	if raw == "" {
		return time.Now().UTC().Truncate(time.Second), nil
	}
	at, err := time.Parse(time.RFC3339, raw)
	if err != nil {
		return at, cli.Exit("--"+name+" is a time such as 2026-12-20T10:00:00Z", exitUsage)
	}
	return at, nil
}

func explained(w world, c *cli.Context, at time.Time) (explanation, error) {
	around, err := surroundingsOf(w, c)
	if err != nil {
		return explanation{}, err
	}
	set, err := loadRules(w, c.String("rules"), around.options)
	if err != nil {
		return explanation{}, err
	}
	workload, err := around.workloadOf(c.String("issuer"), c.String("claims"))
	if gatekeeper.CodeOf(err) == gatekeeper.CodeInvalidToken {
		return explanation{}, cli.Exit("refused, whatever the rules say: "+said(err), exitNotPermitted)
	}
	if err != nil {
		return explanation{}, cli.Exit(said(err), exitUsage)
	}
	return explain(set, workload, c.String("environment"), at), nil
}

// explanation is a decision with all that a person needs to follow it.
type explanation struct {
	workload    gatekeeper.Workload
	environment string
	at          time.Time
	decision    gatekeeper.Decision
	freezes     []rules.FreezeState
}

func explain(set *rules.Rules, w gatekeeper.Workload, environment string, at time.Time) explanation {
	return explanation{w, environment, at, set.Explain(w, environment, at), set.Freezes(environment, at)}
}

// exit tells the outcome by the code: 0 allowed, 3 approval needed, 5 refused.
func (e explanation) exit() error {
	switch e.decision.Outcome {
	case gatekeeper.Allow:
		return nil
	case gatekeeper.NeedApproval:
		return cli.Exit("", exitDenied)
	}
	return cli.Exit("", exitNotPermitted)
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

// json is the explanation for programs; docs/rules.md says what its fields
// mean.
func (e explanation) json(w world) error {
	out := struct {
		Environment string                   `json:"environment"`
		Repository  string                   `json:"repository"`
		At          time.Time                `json:"at"`
		Outcome     string                   `json:"outcome"` // allow, approve or deny
		Rule        string                   `json:"rule"`
		Reason      string                   `json:"reason"`
		Freeze      string                   `json:"freeze,omitempty"`
		Approval    *gatekeeper.Approval     `json:"approval,omitempty"`
		BreakGlass  *gatekeeper.BreakGlass   `json:"break_glass,omitempty"`
		Credentials []credentialName         `json:"credentials,omitempty"`
		Considered  []gatekeeper.Considered  `json:"considered"`
		Observed    []gatekeeper.Observation `json:"observed,omitempty"`
		Freezes     []rules.FreezeState      `json:"freezes"`
		RulesDigest string                   `json:"rules_digest"`
	}{
		Environment: e.environment, Repository: e.workload.Repository, At: e.at, Outcome: e.decision.Outcome.String(), Reason: e.decision.Reason,
		Freeze: e.decision.Freeze, BreakGlass: e.decision.BreakGlass, Considered: e.decision.Considered, Observed: e.decision.Observed,
		Freezes: e.freezes, RulesDigest: e.decision.RulesDigest,
	}
	if out.Considered == nil {
		out.Considered = []gatekeeper.Considered{}
	}
	if rule := e.decision.Rule; rule != nil {
		out.Rule = rule.Name
		if e.decision.Outcome != gatekeeper.Refuse {
			out.Approval = &rule.Approval
			for _, c := range rule.Credentials {
				out.Credentials = append(out.Credentials, credentialName{c.Name, c.Type})
			}
		}
	}
	return printJSON(w, out)
}

type credentialName struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

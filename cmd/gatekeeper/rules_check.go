package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/urfave/cli/v2"
)

func rulesCheckCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "tell every error and warning", ArgsUsage: "PATH",
		Flags: []cli.Flag{
			configFlag(),
			&cli.BoolFlag{Name: "online", Usage: "ask Slack and GitHub whether the people are there; with --config"},
			&cli.BoolFlag{Name: "strict", Usage: "warnings fail as errors do"},
			&cli.StringFlag{Name: "output", Value: "text", Usage: "text or json"},
		},
		Action: func(c *cli.Context) error { return rulesCheck(w, c) },
	}
}

func rulesCheck(w world, c *cli.Context) error {
	path, err := onlyPath(c)
	if err != nil {
		return err
	}
	around, err := surroundingsOf(w, c)
	if err != nil {
		return err
	}
	if c.Bool("online") && around.config == nil {
		return cli.Exit("--online needs --config gatekeeper.yaml, which says whom to ask", exitUsage)
	}
	around.options.Groups = c.Bool("online")
	set, faults := rules.Load(path, around.options)
	if set != nil && c.Bool("online") {
		if faults, err = online(c.Context, *around.config, set, faults); err != nil {
			return err
		}
	}
	report := checkReport{path: path, set: set, faults: faults, strict: c.Bool("strict")}
	switch c.String("output") {
	case "text":
		report.text(w)
	case "json":
		if err := report.json(w); err != nil {
			return err
		}
	default:
		return cli.Exit("--output is text or json", exitUsage)
	}
	return report.outcome()
}

// online adds what Slack and GitHub say of the people.
func online(ctx context.Context, cfg config, set *rules.Rules, faults conf.Faults) (conf.Faults, error) {
	crowd, err := newCrowd(cfg)
	if err != nil {
		return faults, err
	}
	more, err := crowd.check(ctx, set.Groups())
	if err != nil {
		return faults, cli.Exit("people cannot be looked up: "+said(err), exitFailed)
	}
	return append(faults, more...).Sorted(), nil
}

// checkReport is what `rules check` found.
type checkReport struct {
	path   string
	set    *rules.Rules // nil where there is an error
	faults conf.Faults
	strict bool
}

func (r checkReport) errors() int { return len(r.faults.Errors()) }

func (r checkReport) warnings() int { return len(r.faults) - r.errors() }

func (r checkReport) failed() bool { return r.errors() > 0 || r.strict && len(r.faults) > 0 }

func (r checkReport) tally() string {
	return count(r.errors(), "error") + ", " + count(r.warnings(), "warning")
}

// text is what compilers print, so that editors and CI systems find the
// places.
func (r checkReport) text(w world) {
	for _, f := range r.faults {
		fmt.Fprintln(w.stdout, f)
	}
	if !r.failed() {
		fmt.Fprintf(w.stdout, "%s: ok, %s, %s\n", r.path, count(r.set.Len(), "rule"), count(r.warnings(), "warning"))
	}
}

func (r checkReport) json(w world) error {
	type fault struct {
		File     string `json:"file"`
		Line     int    `json:"line"`
		Column   int    `json:"column"`
		Severity string `json:"severity"`
		Message  string `json:"message"`
	}
	out := struct {
		OK       bool    `json:"ok"`
		Rules    int     `json:"rules"`
		Errors   int     `json:"errors"`
		Warnings int     `json:"warnings"`
		Faults   []fault `json:"faults"`
	}{!r.failed(), 0, r.errors(), r.warnings(), []fault{}}
	if r.set != nil {
		out.Rules = r.set.Len()
	}
	for _, f := range r.faults {
		severity := "error"
		if f.Warning {
			severity = "warning"
		}
		out.Faults = append(out.Faults, fault{f.File, f.Line, f.Column, severity, f.Message})
	}
	return printJSON(w, out)
}

func (r checkReport) outcome() error {
	if r.failed() {
		return cli.Exit(r.path+": "+r.tally(), exitFailed)
	}
	return nil
}

func printJSON(w world, v any) error {
	e := json.NewEncoder(w.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/urfave/cli/v2"
)

// exitChanged says that some outcome would change: 1 is that it could not be
// told.
const exitChanged = 3

func rulesDiffCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "diff", Usage: "replay requests against two versions of the rules and tell every outcome that changes; exit 0: none, 3: some", ArgsUsage: "OLD NEW",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "ledger", Usage: "replay the requests of the ledger; the service may be running or not"},
			&cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`: which ledger, and which issuers"},
			&cli.StringFlag{Name: "claims", Usage: "replay a `FILE` of claims instead, JSON or a line each; - is standard input"},
			&cli.StringFlag{Name: "issuer", Value: "github", Usage: "of claims that name none: a type, or with --config a configured name"},
			&cli.StringFlag{Name: "environment", Usage: "of claims that name none"},
			&cli.StringFlag{Name: "since", Usage: "from this time on: RFC 3339, or an age such as 720h"},
			&cli.BoolFlag{Name: "each", Usage: "tell each request as it is found, and not only how many changed alike"},
			&cli.StringFlag{Name: "output", Value: "text", Usage: "text or json"},
		},
		Action: func(c *cli.Context) error { return rulesDiff(w, c) },
	}
}

// differ is one run of `rules diff`.
type differ struct {
	w          world
	old, new   *rules.Rules
	since      time.Time
	tally      rules.Tally
	each, json bool
	pruned     int // events of which the ledger keeps the place alone
	never      int // claims of tokens that are refused whatever the rules say
}

func rulesDiff(w world, c *cli.Context) error {
	if c.Args().Len() != 2 {
		return cli.Exit("rules diff takes two versions of the rules, each a file or a directory: OLD NEW", exitUsage)
	}
	if c.Bool("ledger") == (c.String("claims") != "") {
		return cli.Exit("rules diff replays --ledger or --claims FILE; give one of them", exitUsage)
	}
	d := &differ{w: w, each: c.Bool("each"), json: c.String("output") == "json"}
	if !d.json && c.String("output") != "text" {
		return cli.Exit("--output is text or json", exitUsage)
	}
	var err error
	if d.since, err = sinceOf(c.String("since"), time.Now()); err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	known, err := d.load(c)
	if err != nil {
		return err
	}
	if c.Bool("ledger") {
		err = withLedger(w, d.ledger)(c)
	} else {
		err = d.claims(c, known)
	}
	if err != nil {
		return err
	}
	return d.report()
}

// load reads both sets as the service would, with the configured issuers.
func (d *differ) load(c *cli.Context) (config, error) {
	var known config
	var o rules.Options
	if c.Bool("ledger") || c.IsSet("config") {
		known, _ = loadConfig(c.String("config"), d.w.env) // its faults are told where the ledger is opened
		for _, i := range known.Issuers {
			o.Issuers = append(o.Issuers, i.Name)
		}
	}
	for i, set := range []**rules.Rules{&d.old, &d.new} {
		path := c.Args().Get(i)
		parsed, faults := rules.Load(path, o)
		if faults.Err() != nil {
			for _, f := range faults.Errors() {
				fmt.Fprintln(d.w.stderr, f)
			}
			return known, cli.Exit(path+" has errors", exitFailed)
		}
		*set = parsed
	}
	return known, nil
}

func (d *differ) add(a rules.Asking) error {
	if a.At.Before(d.since) {
		return nil
	}
	s := d.tally.Add(d.old, d.new, a)
	if s == nil || !d.each {
		return nil
	}
	if d.json {
		return json.NewEncoder(d.w.stdout).Encode(s)
	}
	_, err := fmt.Fprintf(d.w.stdout, "%s  %s  %s → %s: %s\n", s.First.UTC().Format("2006-01-02 15:04:05"), s.Examples[0], oneLine(s.Repository), oneLine(s.Environment), oneLine(strings.Join(s.Changes, "; ")))
	return err
}

// report tells the tally. The exit code is for scripts: a change is no error.
func (d *differ) report() error {
	var err error
	if d.pruned > 0 {
		fmt.Fprintf(d.w.stderr, "%d requests were pruned from the ledger and are not replayed\n", d.pruned)
	}
	if d.never > 0 {
		fmt.Fprintf(d.w.stderr, "%d of the claims are of tokens that are never taken, whatever the rules say\n", d.never)
	}
	switch {
	case d.json && !d.each:
		e := json.NewEncoder(d.w.stdout)
		e.SetIndent("", "  ")
		err = e.Encode(struct {
			*rules.Tally
			Shifts []rules.Shift `json:"shifts"`
		}{&d.tally, d.tally.Shifts()})
	case !d.json:
		d.text()
	}
	if err == nil && d.tally.Changed > 0 {
		return cli.Exit("", exitChanged)
	}
	return err
}

func (d *differ) text() {
	t := &d.tally
	if t.Requests == 0 {
		fmt.Fprintln(d.w.stdout, "there are no requests to replay")
		return
	}
	when := t.First.UTC().Format(time.DateOnly) + " to " + t.Last.UTC().Format(time.DateOnly)
	if t.Changed == 0 {
		fmt.Fprintf(d.w.stdout, "none of %d requests (%s) would come out otherwise\n", t.Requests, when)
		return
	}
	for _, s := range t.Shifts() {
		if d.each {
			break
		}
		fmt.Fprintf(d.w.stdout, "%d × %s → %s (%s)\n", s.Count, oneLine(s.Repository), oneLine(s.Environment), oneLine(s.Issuer))
		for _, line := range s.Changes {
			fmt.Fprintf(d.w.stdout, "    %s\n", oneLine(line))
		}
		if s.New.Outcome == "deny" {
			fmt.Fprintf(d.w.stdout, "    because %s\n", oneLine(s.New.Reason))
		}
		fmt.Fprintf(d.w.stdout, "    e.g. %s\n\n", strings.Join(s.Examples, ", "))
	}
	if t.Beyond > 0 {
		fmt.Fprintf(d.w.stdout, "%d more changed in yet other ways; --each tells them all\n", t.Beyond)
	}
	fmt.Fprintf(d.w.stdout, "%d of %d requests (%s) would come out otherwise\n", t.Changed, t.Requests, when)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/urfave/cli/v2"
)

func auditCommand(w world) *cli.Command {
	config := &cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`"}
	return &cli.Command{
		Name: "audit", Usage: "verify and read the ledger; the service may be running or not",
		Subcommands: []*cli.Command{
			{
				Name: "verify", Usage: "recompute everything and name the first event that does not hold",
				Flags:  []cli.Flag{config, &cli.StringSliceFlag{Name: "checkpoint", Usage: "`FILE` with a checkpoint that was kept elsewhere; it has to be part of this history"}},
				Action: withLedger(w, auditVerify),
			},
			{
				Name: "export", Usage: "print events, one a line", Flags: []cli.Flag{
					config, &cli.StringFlag{Name: "format", Value: "jsonl", Usage: "jsonl, ocsf or cef"},
					&cli.StringFlag{Name: "since", Usage: "from this time on: RFC 3339, or an age such as 24h"},
				},
				Action: withLedger(w, auditExport),
			},
			{
				Name: "show", Usage: "tell a request's story", ArgsUsage: "req_…", Flags: []cli.Flag{config, &cli.StringFlag{Name: "output", Value: "text", Usage: "text or json"}},
				Action: withLedger(w, auditShow),
			},
			{Name: "key", Usage: "print the public key that checkpoints are verified with", Flags: []cli.Flag{config}, Action: withLedger(w, auditKey)},
			{Name: "checkpoint", Usage: "print the latest signed checkpoint, to be kept elsewhere", Flags: []cli.Flag{config}, Action: withLedger(w, auditCheckpoint)},
		},
	}
}

// books is an opened ledger.
type books struct {
	*store.Reader
	key string
}

// withLedger opens the configured ledger for reading.
func withLedger(w world, do func(world, *cli.Context, books) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		cfg, faults := loadConfig(c.String("config"), w.env)
		if faults.Err() != nil && (cfg.Database == "" || cfg.LedgerKey == "") {
			return cli.Exit(faults.Error(), exitFailed)
		}
		key, err := ledger.LoadKey(cfg.LedgerKey)
		if err != nil {
			return cli.Exit(said(err), exitFailed)
		}
		public, err := ledger.VerifierKey(cfg.origin(), key)
		if err != nil {
			return err
		}
		if _, err := os.Stat(cfg.Database); err != nil {
			return cli.Exit("there is no ledger at "+cfg.Database, exitFailed)
		}
		reader, err := store.OpenReader(c.Context, cfg.Database)
		if err != nil {
			return cli.Exit(said(err), exitFailed)
		}
		defer reader.Close()
		if err := do(w, c, books{reader, public}); err != nil {
			return err
		}
		return nil
	}
}

// Leaves implements ledger.Source.
func (b books) Leaves(ctx context.Context, from int64, visit func(ledger.Leaf) error) error {
	return b.Reader.Leaves(ctx, from, "", func(l store.Leaf) error { return visit(ledger.Leaf(l)) })
}

func auditVerify(w world, c *cli.Context, b books) error {
	o := ledger.VerifyOptions{VerifierKey: b.key}
	for _, path := range c.StringSlice("checkpoint") {
		body, err := os.ReadFile(path)
		if err != nil {
			return cli.Exit(err.Error(), exitUsage)
		}
		o.Outside = append(o.Outside, body)
	}
	report, err := ledger.Verify(c.Context, b, o)
	if err != nil {
		return cli.Exit("the ledger does not hold: "+err.Error(), exitFailed)
	}
	fmt.Fprintf(w.stdout, "verified: %d events, %d checkpoints, root %x, signed by %s\n", report.Events, report.Checkpoints, report.Root, strings.SplitN(b.key, "+", 2)[0])
	return nil
}

func auditExport(w world, c *cli.Context, b books) error {
	since, err := sinceOf(c.String("since"), time.Now())
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	format, err := ledger.Format(c.String("format"))
	if err != nil {
		return cli.Exit(said(err), exitUsage)
	}
	return b.Leaves(c.Context, 0, func(l ledger.Leaf) error {
		if l.Time.Before(since) {
			return nil
		}
		line, err := format(l)
		if err != nil {
			return err
		}
		_, err = w.stdout.Write(append(line, '\n'))
		return err
	})
}

func sinceOf(raw string, now time.Time) (time.Time, error) {
	if raw == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(raw); err == nil {
		return now.Add(-age), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, raw); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q is no time; 2026-12-01T00:00:00Z and 24h are", raw)
}

func auditShow(w world, c *cli.Context, b books) error {
	id := c.Args().First()
	if id == "" {
		return cli.Exit("audit show takes a request, req_…", exitUsage)
	}
	var events []gatekeeper.Event
	err := b.Reader.Leaves(c.Context, 0, id, func(l store.Leaf) error {
		var e gatekeeper.Event
		if err := json.Unmarshal(l.Body, &e); err != nil {
			return cli.Exit(fmt.Sprintf("event %d cannot be read; run `gatekeeper audit verify`", l.Index), exitFailed)
		}
		events = append(events, e)
		return nil
	})
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return cli.Exit("the ledger knows no request "+oneLine(id), exitFailed)
	}
	if c.String("output") == "json" {
		return json.NewEncoder(w.stdout).Encode(events)
	}
	fmt.Fprintf(w.stdout, "%s\n", id)
	for _, e := range events {
		fmt.Fprintf(w.stdout, "  %s  %-22s %-28s %s\n", e.Time.UTC().Format("2006-01-02 15:04:05.000"), e.Type, oneLine(who(e.Actor)), oneLine(ledger.Tell(e)))
	}
	return nil
}

func who(a gatekeeper.Actor) string {
	if a.Name != "" {
		return a.Name + " (" + a.ID + ")"
	}
	return a.ID
}

func auditKey(w world, _ *cli.Context, b books) error {
	fmt.Fprintln(w.stdout, b.key)
	return nil
}

func auditCheckpoint(w world, c *cli.Context, b books) error {
	var latest []byte
	err := b.Checkpoints(c.Context, func(_ int64, note []byte) error { latest = note; return nil })
	if err != nil {
		return err
	}
	if latest == nil {
		return cli.Exit("the ledger is empty", exitFailed)
	}
	_, err = w.stdout.Write(latest)
	return err
}

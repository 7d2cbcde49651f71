package main

import (
	"context"
	"fmt"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/urfave/cli/v2"
)

func migrateCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "migrate", Usage: "move an installation to another database",
		Subcommands: []*cli.Command{{
			Name: "sqlite-to-postgres", Usage: "copy everything, the ledger included, and verify the copy; the service has to be stopped",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE` of the installation on SQLite"},
				&cli.StringFlag{Name: "to", Required: true, Usage: "`URL` of an empty database, postgres://user@host/db"},
			},
			Action: func(c *cli.Context) error { return migrate(w, c) },
		}},
	}
}

func migrate(w world, c *cli.Context) error {
	to := c.String("to")
	cfg, faults := loadConfig(c.String("config"), w.env)
	switch {
	case cfg.Database == "" || cfg.LedgerKey == "":
		return cli.Exit(faults.Error(), exitFailed)
	case store.Postgres(cfg.Database):
		return cli.Exit(c.String("config")+" is on PostgreSQL already; give the configuration with database: sqlite:…", exitUsage)
	case !store.Postgres(to):
		return cli.Exit("--to is no URL of PostgreSQL; postgres://user@host/db is", exitUsage)
	}
	key, err := ledger.LoadKey(cfg.LedgerKey)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	signer, err := ledger.NewSigner(ledger.SignerOptions{Origin: cfg.origin(), Key: key})
	if err != nil {
		return err
	}
	moved, err := store.Move(c.Context, cfg.Database, to, signer)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	for _, m := range moved {
		fmt.Fprintf(w.stdout, "%-20s %d\n", m.Table, m.Rows)
	}
	public, err := ledger.VerifierKey(cfg.origin(), key)
	if err != nil {
		return err
	}
	if err := sameLedger(c.Context, w, cfg.Database, to, public); err != nil {
		return cli.Exit("the copy does not hold; do not use it: "+said(err), exitFailed)
	}
	fmt.Fprintf(w.stdout, "\nSet database: %s in %s, keep the key files, and start the service.\n", store.Redacted(to), c.String("config"))
	return nil
}

// sameLedger verifies the copy, with the original's newest checkpoint as one
// that was kept outside: nothing may be missing or changed.
func sameLedger(ctx context.Context, w world, from, to, public string) error {
	original, err := store.OpenReader(ctx, from)
	if err != nil {
		return err
	}
	defer original.Close()
	last, err := original.NewestCheckpoint(ctx)
	if err != nil || last == nil {
		return err
	}
	reader, err := store.OpenReader(ctx, to)
	if err != nil {
		return err
	}
	defer reader.Close()
	report, err := ledger.Verify(ctx, books{Reader: reader}, ledger.VerifyOptions{VerifierKey: public, Outside: [][]byte{last}, Checks: eventChecks(false)})
	if err == nil {
		fmt.Fprintf(w.stdout, "\nverified: %d events, %d checkpoints, root %x\n", report.Events, report.Checkpoints, report.Root)
	}
	return err
}

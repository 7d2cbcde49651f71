package main

import (
	"context"
	"os"

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
			verifyCommand(w, config),
			proveCommand(w, config),
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
			{
				Name: "key", Usage: "print the public key that checkpoints and attestations are verified with", Action: withLedger(w, auditKey),
				Flags: []cli.Flag{config, &cli.StringFlag{Name: "format", Value: "note", Usage: "note (origin+hash+key, for audit verify) or pem (for admission controllers)"}},
			},
			rotateCommand(w, config),
			pruneCommand(w, config),
			{Name: "checkpoint", Usage: "print the latest signed checkpoint, to be kept elsewhere", Flags: []cli.Flag{config}, Action: withLedger(w, auditCheckpoint)},
		},
	}
}

// books is an opened ledger, with the public key of the one that signs it.
type books struct {
	*store.Reader
	cfg config
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
		if _, err := os.Stat(cfg.Database); err != nil && !store.Postgres(cfg.Database) {
			return cli.Exit("there is no ledger at "+cfg.Database, exitFailed)
		}
		reader, err := store.OpenReader(c.Context, cfg.Database)
		if err != nil {
			return cli.Exit(said(err), exitFailed)
		}
		defer reader.Close()
		return do(w, c, books{reader, cfg, public})
	}
}

// leaves hands the store's leaves to the ledger.
func leaves(visit func(ledger.Leaf) error) func(store.Leaf) error {
	return func(l store.Leaf) error { return visit(ledger.Leaf(l)) }
}

// Leaves implements ledger.Source.
func (b books) Leaves(ctx context.Context, from int64, visit func(ledger.Leaf) error) error {
	return b.Reader.Leaves(ctx, from, "", leaves(visit))
}

// OfRequest implements ledger.Proofs.
func (b books) OfRequest(ctx context.Context, id string, visit func(ledger.Leaf) error) error {
	return b.Reader.Leaves(ctx, 0, id, leaves(visit))
}

// OfType implements ledger.Proofs.
func (b books) OfType(ctx context.Context, t gatekeeper.EventType, visit func(ledger.Leaf) error) error {
	return b.Reader.OfType(ctx, t, leaves(visit))
}

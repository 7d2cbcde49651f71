package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/urfave/cli/v2"
)

func rotateCommand(w world, config cli.Flag) *cli.Command {
	return &cli.Command{
		Name: "rotate-key", Usage: "make a new key for the ledger and record it under the old one, which is destroyed; the service may be running or not",
		Flags:  []cli.Flag{config},
		Action: withLedger(w, auditRotate),
	}
}

func auditRotate(w world, c *cli.Context, b books) error {
	if err := b.carryOut(c.Context, w, workRotate, rotateOrder{From: b.key, By: operator()}); err != nil {
		return err
	}
	key, err := ledger.LoadKey(b.cfg.LedgerKey)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	public, err := ledger.VerifierKey(b.cfg.origin(), key)
	if err != nil || public == b.key {
		return cli.Exit("the key was not rotated; the service's log says why", exitFailed)
	}
	fmt.Fprintf(w.stdout, "%s\n", public)
	fmt.Fprintln(w.stderr, "The line above is the ledger's public key from now on: give it to whoever verifies.")
	return nil
}

func pruneCommand(w world, config cli.Flag) *cli.Command {
	return &cli.Command{
		Name: "prune", Usage: "replace the payloads of old events by their hashes, and drop the documents of their requests; the service may be running or not",
		Flags:  []cli.Flag{config, &cli.StringFlag{Name: "before", Required: true, Usage: "prune what happened before this time: RFC 3339, a date, or an age such as 8760h"}},
		Action: withLedger(w, auditPrune),
	}
}

func auditPrune(w world, c *cli.Context, b books) error {
	before, err := timeOf("--before", c.String("before"), time.Now())
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	if before.IsZero() {
		return cli.Exit("--before is empty; 2026-12-01 and 8760h are times", exitUsage)
	}
	was, err := b.payloads(c.Context, before)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	if err := b.carryOut(c.Context, w, workPrune, pruneOrder{Before: before.UTC(), By: operator()}); err != nil {
		return err
	}
	left, err := b.payloads(c.Context, before)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	fmt.Fprintf(w.stdout, "pruned %d events of before %s; %d are kept: the ledger's own, those of passkeys, of requests that are not over, and what a sink waits for\n",
		was-left, before.UTC().Format(time.RFC3339), left)
	return nil
}

// payloads counts the events before a time that still have theirs.
func (b books) payloads(ctx context.Context, before time.Time) (n int, err error) {
	end, err := b.FirstAt(ctx, before.UnixNano())
	if err != nil {
		return 0, err
	}
	return b.Payloads(ctx, end)
}

// operator is who gives an order on this machine; it is recorded, and proves
// nothing.
func operator() string {
	host, _ := os.Hostname()
	if u, err := user.Current(); err == nil {
		return u.Username + "@" + host
	}
	return "@" + host
}

// carryOut does the work, or has the process do it that serves from the
// database, and waits until it is done.
func (b books) carryOut(ctx context.Context, w world, kind string, order any) error {
	payload, err := json.Marshal(order)
	if err != nil {
		return err
	}
	work := gatekeeper.Work{Kind: kind, Key: kind, Payload: payload}
	k, err := openKeeper(ctx, b.cfg, slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	switch {
	case errors.Is(err, store.ErrInUse):
		if err := store.Submit(ctx, b.cfg.Database, work); err != nil {
			return cli.Exit(said(err), exitFailed)
		}
		fmt.Fprintln(w.stderr, "The service runs; it does this within seconds.")
		return b.await(ctx, kind)
	case err != nil:
		return cli.Exit(said(err), exitFailed)
	}
	defer k.store.Close() //nolint:errcheck // what was done is durable already
	if err := k.handlers()[kind](ctx, work); err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	return nil
}

// await waits until the service did the work, or failed at it.
func (b books) await(ctx context.Context, kind string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		waiting, ok, err := b.Waiting(ctx, kind, kind)
		switch {
		case err != nil:
			return cli.Exit(said(err), exitFailed)
		case !ok:
			return nil
		case waiting.LastError != "":
			return cli.Exit("the service tries again; it failed: "+waiting.LastError, exitFailed)
		}
		select {
		case <-ctx.Done():
			return cli.Exit("the service has the order, and did not carry it out yet", exitFailed)
		case <-tick.C:
		}
	}
}

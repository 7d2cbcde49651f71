package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/urfave/cli/v2"
)

func verifyCommand(w world, config cli.Flag) *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "recompute everything and name the first event that does not hold",
		Flags: []cli.Flag{
			config,
			&cli.StringSliceFlag{Name: "checkpoint", Usage: "`FILE` with checkpoints that were kept elsewhere, e.g. what a sink received; each has to be part of this history"},
			&cli.StringFlag{Name: "bundle", Usage: "verify a `FILE` of `audit prove` instead of the whole ledger; needs --key and nothing else"},
			&cli.StringFlag{Name: "key", Usage: "trust this `KEY` of the ledger (as `audit key` prints it, or a file with it), not the configured one"},
		},
		Action: func(c *cli.Context) error {
			if c.String("bundle") != "" {
				return verifyBundle(w, c)
			}
			return withLedger(w, auditVerify)(c)
		},
	}
}

func auditVerify(w world, c *cli.Context, b books) error {
	o := ledger.VerifyOptions{VerifierKey: b.key, Checks: eventChecks(false)}
	if named := c.String("key"); named != "" {
		o.VerifierKey = verifierKey(named)
	}
	for _, path := range c.StringSlice("checkpoint") {
		body, err := os.ReadFile(path)
		if err != nil {
			return cli.Exit(err.Error(), exitUsage)
		}
		found := ledger.Checkpoints(body)
		if len(found) == 0 {
			return cli.Exit(path+" holds no checkpoint", exitUsage)
		}
		o.Outside = append(o.Outside, found...)
	}
	report, err := ledger.Verify(c.Context, b, o)
	if err != nil {
		return cli.Exit("the ledger does not hold: "+said(err), exitFailed)
	}
	fmt.Fprintf(w.stdout, "verified: %d events, %d checkpoints, root %x, signed by %s\n", report.Events, report.Checkpoints, report.Root, strings.SplitN(o.VerifierKey, "+", 2)[0])
	for _, k := range report.Keys {
		fmt.Fprintf(w.stdout, "  key %s signed %d checkpoints of events %d to %d\n", k.Key, k.Checkpoints, k.From, k.To-1)
	}
	if report.Pruned > 0 {
		fmt.Fprintf(w.stdout, "  %d events are pruned: their hashes stand in the tree, their payloads are gone\n", report.Pruned)
	}
	return nil
}

// verifierKey takes the key itself or a file with it.
func verifierKey(named string) string {
	if body, err := os.ReadFile(named); err == nil {
		return strings.TrimSpace(string(body))
	}
	return named
}

// verifyBundle needs no configuration, no database and no network.
func verifyBundle(w world, c *cli.Context) error {
	if c.String("key") == "" {
		return cli.Exit("--bundle needs --key: the ledger's public key, as `gatekeeper audit key` prints it", exitUsage)
	}
	if len(c.StringSlice("checkpoint")) > 0 {
		return cli.Exit("--checkpoint goes with the whole ledger, not with --bundle", exitUsage)
	}
	body, err := os.ReadFile(c.String("bundle"))
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	bundle, err := ledger.ParseBundle(body)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	report, err := ledger.VerifyBundle(bundle, ledger.BundleOptions{VerifierKey: verifierKey(c.String("key")), Checks: eventChecks(true)})
	if err != nil {
		return cli.Exit("the bundle does not hold: "+said(err), exitFailed)
	}
	fmt.Fprintf(w.stdout, "verified: %d events of request %s in the ledger %s of %d events, root %x\n", len(report.Events), oneLine(report.Request), report.Head.Origin, report.Head.Size, report.Head.Root)
	for i, k := range report.Keys {
		fmt.Fprintf(w.stdout, "  %s %s\n", map[bool]string{true: "key", false: "rotated to"}[i == 0], k)
	}
	if report.Pruned > 0 {
		fmt.Fprintf(w.stdout, "  %d events are pruned: their hashes stand in the tree, their payloads are gone\n", report.Pruned)
	}
	for i, e := range report.Events {
		tellEvent(w, bundle.Events[i].Index, e)
	}
	return nil
}

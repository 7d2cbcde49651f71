package main

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/urfave/cli/v2"
)

func revokeCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "revoke", Usage: "take back an approval, or the credentials that a request handed out; the service has to run", ArgsUsage: "req_…",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`; its session key is what makes you an operator"},
			&cli.StringFlag{Name: "reason", Usage: "for the ledger"},
		},
		Action: func(c *cli.Context) error { return revoke(w, c) },
	}
}

func revoke(w world, c *cli.Context) error {
	id := c.Args().First()
	if c.Args().Len() != 1 || !strings.HasPrefix(id, "req_") {
		return cli.Exit("revoke takes one request, req_… (flags come before it)", exitUsage)
	}
	cfg, faults := loadConfig(c.String("config"), w.env)
	if cfg.SessionKey == "" || cfg.AdminListen == "" {
		return cli.Exit(faults.Error(), exitFailed)
	}
	var answer revokedAnswer
	if err := sendOrder(c.Context, cfg, order{Do: "revoke", Request: id, Reason: c.String("reason"), By: operator()}, &answer); err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	if answer.State == gatekeeper.Revoked {
		fmt.Fprintln(w.stdout, "The approval is revoked; no credentials were handed out for it.")
		return nil
	}
	left := 0
	for _, t := range answer.Credentials {
		if t.State != gatekeeper.RevocationDone {
			left++
		}
		fmt.Fprintf(w.stdout, "%s  %s (%s): %s. %s\n", t.Redemption, oneLine(t.Credential), oneLine(t.HandedOut), outcomeOfTaking(t.State), oneLine(t.Detail))
		if t.Todo != "" {
			fmt.Fprintf(w.stdout, "\n%s\n\n", manyLines(t.Todo))
		}
	}
	if left > 0 {
		return cli.Exit(fmt.Sprintf("%d of %d credentials are not revoked; nothing more is handed out for this request", left, len(answer.Credentials)), exitFailed)
	}
	return nil
}

func outcomeOfTaking(s gatekeeper.RevocationState) string {
	switch s {
	case gatekeeper.RevocationDone:
		return "revoked"
	case gatekeeper.RevocationRequested:
		return "the cloud did not answer yet, and is asked again"
	}
	return "not revoked"
}

// manyLines is oneLine for what is meant to be pasted.
func manyLines(s string) string {
	all := strings.Split(s, "\n")
	for i, l := range all {
		all[i] = oneLine(l)
	}
	return strings.Join(all, "\n")
}

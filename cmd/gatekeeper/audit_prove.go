package main

import (
	"encoding/json"
	"os"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/urfave/cli/v2"
)

func proveCommand(w world, config cli.Flag) *cli.Command {
	return &cli.Command{
		Name: "prove", Usage: "write a request's events with proofs that verify without the gatekeeper", ArgsUsage: "req_…",
		Flags:  []cli.Flag{config, &cli.StringFlag{Name: "out", Usage: "write to `FILE` instead of standard output"}},
		Action: withLedger(w, auditProve),
	}
}

func auditProve(w world, c *cli.Context, b books) error {
	id := c.Args().First()
	if id == "" || c.Args().Len() != 1 {
		return cli.Exit("audit prove takes a request, req_…", exitUsage)
	}
	bundle, err := ledger.Prove(c.Context, b, id)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	body, err := json.MarshalIndent(bundle, "", " ")
	if err != nil {
		return err
	}
	return writeOut(w, c.String("out"), append(body, '\n'))
}

// writeOut writes to a file, or to standard output where none is named.
func writeOut(w world, path string, body []byte) error {
	if path == "" || path == "-" {
		_, err := w.stdout.Write(body)
		return err
	}
	if err := os.WriteFile(path, body, 0o644); err != nil { //nolint:gosec // what is proven is made to be shown
		return cli.Exit(err.Error(), exitFailed)
	}
	return nil
}

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
)

// everything makes all tables and plots of docs/performance.md anew, but those
// that `go test -bench` prints.
func everything(ctx context.Context, args []string, out io.Writer) error {
	set := flag.NewFlagSet("gatekeeper-load all", flag.ContinueOnError)
	binary := set.String("binary", "gatekeeper", "the gatekeeper to start")
	source := set.String("source", ".", "the source tree")
	write := set.String("write", "", "the directory of the documents, to write tables, plots and CSV files there")
	if err := set.Parse(args); err != nil {
		return err
	}
	for _, of := range [][]string{
		{"--binary", *binary, "--runs", "3000", "--waiting", "1000", "--clicks", "300"},
		{"growth", "--binary", *binary, "--source", *source, "--write", *write},
		{"peers", "--binary", *binary, "--write", *write},
	} {
		if err := run(ctx, of, out); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	return nil
}

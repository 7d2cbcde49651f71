// Command gatekeeper-load drives a gatekeeper over HTTP as CI systems and Slack
// would, and prints what it bore; alone, as it grows, and beside its peers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// usage stands before the flags of driving one gatekeeper.
const usage = `gatekeeper-load [flags]         drives a gatekeeper as CI systems and Slack would, and prints what it bore
gatekeeper-load config [flags]  writes the configuration of one that is to be driven with --url
gatekeeper-load growth [flags]  measures ten and a hundred times the requests, events, rules and waiting steps
gatekeeper-load peers [flags]   measures the exchange of a token beside fulcio, versitygw and a bare verification
gatekeeper-load all [flags]     does all three, one after the other

Flags of the first one; -h after the others tells theirs:
`

// commands are what it does; without one it drives a gatekeeper.
func commands() map[string]func(context.Context, []string, io.Writer) error {
	return map[string]func(context.Context, []string, io.Writer) error{
		"": load, "config": configure, "growth": growth, "peers": peers, "all": everything,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "gatekeeper-load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	name := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	do, known := commands()[name]
	if !known {
		return fmt.Errorf("there is no %q; config, growth, peers and all are, and nothing drives one gatekeeper", name)
	}
	return do(ctx, args, out)
}

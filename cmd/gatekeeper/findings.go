package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// What an examination of a vendor's side finds about one thing.
const (
	markFine    = "ok"
	markNote    = "note"
	markMissing = "MISSING"
)

// findings are printed as they come, and those that are missing counted.
type findings struct {
	w       world
	missing int
}

func (f *findings) tell(mark, text string) {
	if mark == markMissing {
		f.missing++
	}
	fmt.Fprintf(f.w.stdout, "%-8s %s\n", mark, text)
}

// end says whether everything is there, and is an error where it is not.
func (f *findings) end() error {
	switch f.missing {
	case 0:
		fmt.Fprintln(f.w.stdout, "Everything is there.")
		return nil
	case 1:
		return cli.Exit("one thing is missing", exitFailed)
	}
	return cli.Exit(fmt.Sprintf("%d things are missing", f.missing), exitFailed)
}

// faultless is the configuration that --config names. Its faults are printed,
// and with an error among them it ends in saying what was not done.
func faultless(w world, c *cli.Context, otherwise string) (config, error) {
	cfg, faults := loadConfig(c.String("config"), w.env)
	for _, f := range faults {
		fmt.Fprintln(w.stderr, f)
	}
	if faults.Err() != nil {
		return config{}, cli.Exit(c.String("config")+" has faults; "+otherwise, exitFailed)
	}
	return cfg, nil
}

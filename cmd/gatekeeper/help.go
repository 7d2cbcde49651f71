package main

import (
	"flag"

	"github.com/urfave/cli/v2"
)

// cli/v2 writes to its flags for help and version while it parses, and has one
// of each for the whole process: two commands at once, as tests and the demo
// run them, would race. These keep nothing.
func init() {
	cli.HelpFlag = &statelessFlag{names: []string{"help", "h"}, text: "--help, -h\tshow help"}
	cli.VersionFlag = &statelessFlag{names: []string{"version", "v"}, text: "--version, -v\tprint the version"}
}

type statelessFlag struct {
	names []string
	text  string // for the help page
}

// Apply implements cli.Flag.
func (f *statelessFlag) Apply(set *flag.FlagSet) error {
	for _, name := range f.names {
		set.Bool(name, false, "")
	}
	return nil
}

// Names implements cli.Flag.
func (f *statelessFlag) Names() []string { return f.names }

// IsSet implements cli.Flag.
func (f *statelessFlag) IsSet() bool { return false }

// IsVisible implements cli.VisibleFlag.
func (f *statelessFlag) IsVisible() bool { return true }

// String implements cli.Flag.
func (f *statelessFlag) String() string { return f.text }

package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves flags before the other arguments of a command: people
// write `audit show req_… --config F`, and cli/v2 stops looking for flags at
// the first argument that is none.
func flagsFirst(commands []*cli.Command, args []string) []string {
	if len(args) < 2 {
		return args
	}
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[1]) })
	if i < 0 {
		return args
	}
	if subs := commands[i].Subcommands; len(args) > 2 && slices.ContainsFunc(subs, func(c *cli.Command) bool { return c.HasName(args[2]) }) {
		return append([]string{args[0]}, flagsFirst(subs, args[1:])...)
	}
	flags, rest := parted(commands[i], args[2:])
	return slices.Concat(args[:2], flags, rest)
}

// parted keeps `--` and all that stands behind it where it is.
func parted(c *cli.Command, args []string) (flags, rest []string) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return flags, append(rest, args[i:]...)
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			rest = append(rest, a)
			continue
		}
		flags = append(flags, a)
		if !strings.Contains(a, "=") && takesValue(c, strings.TrimLeft(a, "-")) && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return flags, rest
}

func takesValue(c *cli.Command, name string) bool {
	for _, f := range c.Flags {
		if _, isBool := f.(*cli.BoolFlag); slices.Contains(f.Names(), name) {
			return !isBool
		}
	}
	return false
}

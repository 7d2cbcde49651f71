package main

import (
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/urfave/cli/v2"
)

func rulesSchemaCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "schema", Usage: "print the JSON Schema of rules, for editors",
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return cli.Exit("rules schema takes no argument", exitUsage)
			}
			schema, err := rules.Schema()
			if err != nil {
				return err
			}
			_, err = w.stdout.Write(schema)
			return err
		},
	}
}

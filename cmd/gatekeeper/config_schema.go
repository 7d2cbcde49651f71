package main

import (
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/urfave/cli/v2"
)

func configSchemaCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "schema", Usage: "print the JSON Schema of gatekeeper.yaml, for editors",
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return cli.Exit("config schema takes no argument", exitUsage)
			}
			schema, err := configShape().Schema(conf.SchemaOptions{Title: "gatekeeper.yaml"})
			if err != nil {
				return err
			}
			_, err = w.stdout.Write(schema)
			return err
		},
	}
}

// configShape is recorded from the reader itself.
func configShape() *conf.Shape {
	return conf.Record(func(v conf.Value) {
		r := configReader{dir: ".", env: func(string) string { return "" }}
		r.root(v.Object())
	})
}

package main

import (
	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
	"github.com/urfave/cli/v2"
)

func slackCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "slack", Usage: "set the Slack app up",
		Subcommands: []*cli.Command{{
			Name: "manifest", Usage: "print the app manifest with the least scopes",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`, for the gatekeeper's URL"},
				&cli.StringFlag{Name: "url", Usage: "the gatekeeper's public `URL`, without a configuration"},
			},
			Action: func(c *cli.Context) error {
				url := c.String("url")
				if url == "" {
					cfg, _ := loadConfig(c.String("config"), w.env)
					url = cfg.URL
				}
				if url == "" {
					return cli.Exit("give --url, or a configuration with the gatekeeper's url", exitUsage)
				}
				manifest, err := slack.Manifest(url)
				if err != nil {
					return err
				}
				_, err = w.stdout.Write(append(manifest, '\n'))
				return err
			},
		}},
	}
}

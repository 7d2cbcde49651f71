package main

import (
	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
	"github.com/urfave/cli/v2"
)

func slackCommand(w world) *cli.Command {
	config := func(usage string) *cli.StringFlag {
		return &cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`" + usage}
	}
	return &cli.Command{
		Name: "slack", Usage: "set the Slack app up",
		Subcommands: []*cli.Command{
			{
				Name: "manifest", Usage: "print the app manifest with the least scopes",
				Flags: []cli.Flag{
					config(", for the gatekeeper's URL and its way in"),
					&cli.StringFlag{Name: "url", Usage: "the gatekeeper's public `URL`, without a configuration"},
					&cli.BoolFlag{Name: "socket-mode", Usage: "for a gatekeeper that Slack cannot reach"},
				},
				Action: func(c *cli.Context) error { return slackManifest(w, c) },
			},
			{
				Name: "check", Usage: "ask Slack whether everything is there: token, scopes, channels, groups, people",
				Flags:  []cli.Flag{config("")},
				Action: func(c *cli.Context) error { return slackCheck(w, c) },
			},
		},
	}
}

func slackManifest(w world, c *cli.Context) error {
	o := slack.ManifestOptions{PublicURL: c.String("url"), SocketMode: c.Bool("socket-mode")}
	if o.PublicURL == "" && (!o.SocketMode || c.IsSet("config")) {
		// The secrets need not be there yet: the manifest is what gives them.
		cfg, _ := loadConfig(c.String("config"), w.env)
		o.PublicURL = cfg.URL
		o.SocketMode = o.SocketMode || cfg.Slack.SocketMode
	}
	if o.PublicURL == "" && !o.SocketMode {
		return cli.Exit("give --url, or a configuration with the gatekeeper's url, or --socket-mode", exitUsage)
	}
	manifest, err := slack.Manifest(o)
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	_, err = w.stdout.Write(manifest)
	return err
}

// slackCheck tells all that is there and all that is missing.
func slackCheck(w world, c *cli.Context) error {
	cfg, err := faultless(w, c, "Slack was not asked")
	if err != nil {
		return err
	}
	names, err := cfg.slackNames(c.Context)
	if err != nil {
		return cli.Exit(err.Error(), exitFailed)
	}
	found, err := slack.Examine(c.Context, cfg.slackOptions(), names)
	if err != nil {
		return cli.Exit(err.Error(), exitFailed)
	}
	told := findings{w: w}
	for _, f := range found {
		mark := markFine
		if f.Missing {
			mark = markMissing
		}
		told.tell(mark, f.Text)
	}
	return told.end()
}

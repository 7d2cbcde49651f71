package main

import (
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/urfave/cli/v2"
)

func githubCommand(w world) *cli.Command {
	config := &cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`"}
	return &cli.Command{
		Name: "github", Usage: "set the GitHub App up",
		Subcommands: []*cli.Command{
			{
				Name: "manifest", Usage: "print the App's manifest with the least permissions, or a link that fills GitHub's form in",
				Flags: []cli.Flag{
					config,
					&cli.StringFlag{Name: "url", Usage: "the gatekeeper's public `URL`, without a configuration"},
					&cli.StringFlag{Name: "name", Value: "Gatekeeper", Usage: "the App's `NAME`; GitHub wants it unique"},
					&cli.BoolFlag{Name: "link", Usage: "print the address of GitHub's form instead, filled in"},
					&cli.StringFlag{Name: "org", Usage: "the `ORGANISATION` that will own the App, for --link"},
					&cli.StringFlag{Name: "server", Value: "https://github.com", Usage: "the GitHub `URL`, for --link; a GHES host"},
				},
				Action: func(c *cli.Context) error { return githubManifest(w, c) },
			},
			{
				Name: "check", Usage: "ask GitHub whether everything is there: key, permissions, events, webhook, installations, environments",
				Flags: []cli.Flag{
					config,
					&cli.IntFlag{Name: "repositories", Value: 100, Usage: "most `REPOSITORIES` of each installation to look at for environments"},
				},
				Action: func(c *cli.Context) error { return githubCheck(w, c) },
			},
		},
	}
}

func githubManifest(w world, c *cli.Context) error {
	address := c.String("url")
	if address == "" {
		// The App's key and secret need not be there yet: this is what gives them.
		cfg, _ := loadConfig(c.String("config"), w.env)
		address = cfg.URL
	}
	if address == "" {
		return cli.Exit("give --url, or a configuration with the gatekeeper's url", exitUsage)
	}
	var out []byte
	var err error
	if c.Bool("link") {
		var link string
		link, err = github.Registration(c.String("server"), c.String("org"), address, c.String("name"))
		out = []byte(link)
	} else {
		out, err = github.Manifest(address, c.String("name"))
	}
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	_, err = w.stdout.Write(append(out, '\n'))
	return err
}

// githubCheck tells all that is there and all that is missing.
func githubCheck(w world, c *cli.Context) error {
	cfg, err := faultless(w, c, "GitHub was not asked")
	if err != nil {
		return err
	}
	if cfg.GitHub == nil {
		return cli.Exit(c.String("config")+" has no `github:`; docs/github.md says how to make an App", exitFailed)
	}
	client, err := github.New(cfg.githubOptions())
	if err != nil {
		return cli.Exit(err.Error(), exitFailed)
	}
	found, err := client.Examine(c.Context, github.ExamineOptions{
		PublicURL: cfg.URL, TakesHooks: cfg.GitHub.WebhookSecret != "", Repositories: c.Int("repositories"),
	})
	told := findings{w: w}
	for _, f := range found {
		told.tell(map[github.Mark]string{github.Fine: markFine, github.Note: markNote, github.Missing: markMissing}[f.Mark], f.Text)
	}
	if err != nil {
		return cli.Exit(err.Error(), exitFailed)
	}
	return told.end()
}

// githubOptions are those of the configured App.
func (c config) githubOptions() github.Options {
	issuer, _ := c.githubIssuer() // the configuration says where there has to be one
	return github.Options{
		APIURL: c.GitHub.APIURL, AppID: c.GitHub.AppID, PrivateKey: c.GitHub.PrivateKey,
		Issuer: github.Issuer{Name: issuer.Name, URL: issuer.URL, Owners: issuer.Owners},
	}
}

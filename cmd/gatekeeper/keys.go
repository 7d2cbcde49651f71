package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/urfave/cli/v2"
)

func keysCommand(w world) *cli.Command {
	config := &cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`"}
	return &cli.Command{
		Name: "keys", Usage: "the keys that sign the gatekeeper's tokens for clouds",
		Subcommands: []*cli.Command{
			{
				Name: "init", Usage: "make the keys that are missing: for tokens, the ledger and people's sessions", Flags: []cli.Flag{config},
				Action: func(c *cli.Context) error { return initKeys(w, c) },
			},
			{
				Name: "rotate", Usage: "publish a new key now, sign by it later; a running service picks it up", Flags: []cli.Flag{
					config,
					&cli.DurationFlag{Name: "lead", Value: issuer.DefaultLead, Usage: "how long the new key is published before it signs"},
					&cli.BoolFlag{Name: "compromised", Usage: "withdraw the old keys and sign by the new one at once"},
				},
				Action: func(c *cli.Context) error { return rotateKeys(w, c) },
			},
			{Name: "list", Usage: "say which key signs, and from and until when", Flags: []cli.Flag{config}, Action: func(c *cli.Context) error { return listKeys(w, c) }},
		},
	}
}

// initKeys makes what a first start on SQLite makes by itself. Keys that are
// there stay.
func initKeys(w world, c *cli.Context) error {
	cfg, faults := loadConfig(c.String("config"), w.env)
	if cfg.LedgerKey == "" {
		return cli.Exit(faults.Error(), exitFailed)
	}
	makers := map[string]func(string) error{
		cfg.LedgerKey:  func(path string) error { _, err := ledger.LoadOrCreateKey(path); return err },
		cfg.SessionKey: func(path string) error { _, err := loadOrCreateSecret(path); return err },
	}
	if cfg.SigningKey != "" {
		makers[cfg.SigningKey] = func(path string) error { _, err := issuer.OpenFile(path, nil); return err }
	}
	for _, path := range slices.Sorted(maps.Keys(makers)) {
		if err := makers[path](path); err != nil {
			return cli.Exit(saidWhy(err), exitFailed)
		}
		fmt.Fprintln(w.stdout, path)
	}
	return nil
}

func rotateKeys(w world, c *cli.Context) error {
	cfg, err := keyFile(w, c)
	if err != nil {
		return err
	}
	now := time.Now()
	all, err := issuer.Rotate(cfg.SigningKey, issuer.Rotation{Lead: c.Duration("lead"), Compromised: c.Bool("compromised"), Now: now})
	if err != nil {
		return cli.Exit(saidWhy(err), exitFailed)
	}
	tell(w, all, now)
	if c.Bool("compromised") {
		fmt.Fprintln(w.stdout, "The old keys are withdrawn. Clouds that remember the key set refuse the gatekeeper's tokens until they ask again, and may take the old keys' until then.")
	}
	return nil
}

func listKeys(w world, c *cli.Context) error {
	cfg, err := keyFile(w, c)
	if err != nil {
		return err
	}
	now := time.Now()
	all, err := issuer.Standings(cfg.SigningKey, now)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	tell(w, all, now)
	return nil
}

// keyFile is the configuration, if its keys are in a file.
func keyFile(w world, c *cli.Context) (config, error) {
	cfg, faults := loadConfig(c.String("config"), w.env)
	switch {
	case len(cfg.Clouds.KMSKeys) > 0:
		return cfg, cli.Exit("the keys are in AWS KMS: make one with `aws kms create-key --key-usage SIGN_VERIFY --key-spec RSA_3072`, and put it "+
			"behind the old one as signing_key_file: [aws-kms:OLD, aws-kms:NEW#TIME], with the time from which it signs, a day ahead", exitFailed)
	case cfg.SigningKey == "":
		return cfg, cli.Exit(faults.Error(), exitFailed)
	}
	return cfg, nil
}

func tell(w world, all []issuer.Standing, now time.Time) {
	for _, k := range all {
		fmt.Fprintf(w.stdout, "%s  %s\n", k.ID, standing(k, now))
	}
}

func standing(k issuer.Standing, now time.Time) string {
	switch {
	case k.Signing && k.Until.IsZero():
		return "signs"
	case k.Signing:
		return "signs, published until " + k.Until.UTC().Format(time.RFC3339)
	case k.SignsFrom.After(now):
		return "published, signs from " + k.SignsFrom.UTC().Format(time.RFC3339)
	case now.Before(k.Until):
		return "signed, published until " + k.Until.UTC().Format(time.RFC3339)
	}
	return "retired"
}

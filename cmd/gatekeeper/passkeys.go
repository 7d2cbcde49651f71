package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/web"
	"github.com/urfave/cli/v2"
)

func passkeysCommand(w world) *cli.Command {
	config := &cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`; its session key is what makes you an admin"}
	person := &cli.StringFlag{Name: "person", Required: true, Usage: "Slack user `ID` of the person, U…"}
	return &cli.Command{
		Name: "passkeys", Usage: "people's passkeys: invite, list, revoke",
		Subcommands: []*cli.Command{
			{
				Name: "link", Usage: "print a link, good once and for an hour, with which a person adds a passkey; give it to nobody else",
				Flags: []cli.Flag{config, person}, Action: func(c *cli.Context) error { return passkeysLink(w, c) },
			},
			{
				Name: "list", Usage: "show a person's passkeys; the service has to run", Flags: []cli.Flag{config, person},
				Action: func(c *cli.Context) error {
					return passkeysOrder(w, c, web.Link{Do: web.LinkList, Person: c.String("person")})
				},
			},
			{
				Name: "revoke", Usage: "end a lost passkey; the service has to run",
				Flags: []cli.Flag{config, person, &cli.StringFlag{Name: "key", Required: true, Usage: "`ID` of the passkey, as list shows it"}},
				Action: func(c *cli.Context) error {
					return passkeysOrder(w, c, web.Link{Do: web.LinkRevoke, Person: c.String("person"), Key: c.String("key")})
				},
			},
		},
	}
}

// sealedLink needs the configuration and the key beside it, and no service.
func sealedLink(w world, c *cli.Context, link web.Link) (text, base string, err error) {
	cfg, faults := loadConfig(c.String("config"), w.env)
	if cfg.URL == "" || cfg.SessionKey == "" {
		return "", "", cli.Exit(faults.Error(), exitFailed)
	}
	if _, ok := cfg.People.BySlack(link.Person); !ok {
		return "", "", cli.Exit(fmt.Sprintf("%q is not among `people` of %s; add them first", oneLine(link.Person), c.String("config")), exitFailed)
	}
	secret, err := loadOrCreateSecret(cfg.SessionKey)
	if err == nil {
		text, err = link.Seal(secret, time.Now)
	}
	if err != nil {
		return "", "", cli.Exit(said(err), exitFailed)
	}
	return text, cfg.URL, nil
}

func passkeysLink(w world, c *cli.Context) error {
	text, base, err := sealedLink(w, c, web.Link{Do: web.LinkEnrol, Person: c.String("person")})
	if err == nil {
		fmt.Fprintf(w.stdout, "%s/passkeys?%s\n", base, url.Values{"link": {text}}.Encode())
	}
	return err
}

// passkeysOrder asks the running service, which alone writes to its database.
func passkeysOrder(w world, c *cli.Context, link web.Link) error {
	text, base, err := sealedLink(w, c, link)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"link": text})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(c.Context, http.MethodPost, base+"/passkeys/admin", bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return cli.Exit("the gatekeeper at "+base+" does not answer; it has to run for this", exitFailed)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		var refused struct{ Error string }
		_ = json.NewDecoder(answer.Body).Decode(&refused)
		return cli.Exit(fmt.Sprintf("the gatekeeper refused (%d): %s", answer.StatusCode, oneLine(refused.Error)), exitFailed)
	}
	var keys []web.KeyLine
	if err := json.NewDecoder(answer.Body).Decode(&keys); err != nil {
		return cli.Exit("the gatekeeper's answer cannot be read", exitFailed)
	}
	for _, k := range keys {
		state := "active"
		if k.RevokedAt != nil {
			state = "revoked " + k.RevokedAt.Format(time.RFC3339) + ", " + k.Why
		}
		fmt.Fprintf(w.stdout, "%s  %-20s added %s by %s  %s\n", k.ID, oneLine(k.Label), k.EnrolledAt.Format(time.RFC3339), k.Via, oneLine(state))
	}
	if link.Do == web.LinkRevoke {
		fmt.Fprintln(w.stdout, "revoked")
	}
	return nil
}

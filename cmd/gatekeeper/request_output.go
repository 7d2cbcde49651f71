package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

// delivery hands over what the step got, in the way that was asked for.
type delivery struct {
	deliveryOptions
	w    world
	log  io.Writer // for people
	gh   *workflow // inside GitHub Actions
	temp string    // for files; "": none are written
}

// deliveryOptions are the flags that say how.
type deliveryOptions struct {
	output    string // github, env, json or credential-process; "" by where we are
	export    string // env, outputs or none
	prefix    bool   // names start with the credential's
	githubEnv string // the variable for a GitHub token; "": none
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func newDelivery(w world, o deliveryOptions) (delivery, error) {
	if o.output == "" {
		o.output = "env"
		if w.env("GITHUB_ACTIONS") == "true" {
			o.output = "github"
		}
	}
	d := delivery{deliveryOptions: o, w: w, log: w.stderr, temp: w.env("RUNNER_TEMP")}
	if o.export != "env" && o.export != "outputs" && o.export != "none" {
		return d, fmt.Errorf("--export %q is none of env, outputs, none", o.export)
	}
	if o.githubEnv != "" && !variable.MatchString(o.githubEnv) {
		return d, errors.New("--github-token-env has to be the name of a variable, e.g. GH_TOKEN")
	}
	switch o.output {
	case "github":
		d.log = w.stdout
		d.gh = newWorkflow(w.env, w.stdout)
	case "env", "json", "credential-process":
	default:
		return d, fmt.Errorf("--output %q is none of github, env, json, credential-process", o.output)
	}
	return d, nil
}

// mask tells the runner what must not show in any log. Nothing is written
// anywhere before it.
func (d delivery) mask(c gatekeeper.Credential) {
	if d.gh == nil {
		return
	}
	for _, f := range d.fields(c) {
		if !f.secret || f.value == "" {
			continue
		}
		d.gh.mask(f.value)
		if escaped := inJSON(f.value); escaped != f.value {
			d.gh.mask(escaped)
		}
	}
}

// approved delivers the credentials.
func (d delivery) approved(r api.Request, credentials []gatekeeper.Credential) error {
	switch d.output {
	case "github":
		return d.toGitHub(r, credentials)
	case "json":
		return json.NewEncoder(d.w.stdout).Encode(struct {
			Request     api.Request             `json:"request"`
			Credentials []gatekeeper.Credential `json:"credentials"`
		}{r, credentials})
	case "credential-process":
		return d.toProcess(credentials[0])
	}
	return d.each(credentials, func(env, _, value string, _ field) error {
		if env != "" {
			fmt.Fprintf(d.w.stdout, "export %s=%s\n", env, shellQuoted(value))
		}
		return nil
	})
}

// each walks over all fields that have a value, with their names. What goes
// into a file is written to it, and its path is the value; without a place for
// files there is none.
func (d delivery) each(credentials []gatekeeper.Credential, do func(env, output, value string, f field) error) error {
	for _, c := range credentials {
		for _, f := range d.fields(c) {
			value := f.value
			if value == "" || f.file != "" && d.temp == "" {
				continue
			}
			if f.file != "" {
				path, err := secretFile(d.temp, f.file, value)
				if err != nil {
					return err
				}
				value = path
			}
			env, output := d.named(c.Name, f)
			if err := do(env, output, value, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// outcome tells a workflow how a request ended that gave nothing.
func (d delivery) outcome(r api.Request, state string) {
	if d.gh == nil || r.ID == "" {
		return
	}
	if state != "" {
		r.State = gatekeeper.State(state)
	}
	if err := d.gh.finish(r, nil); err != nil {
		fmt.Fprintln(d.log, "The step's outputs could not be written:", err)
	}
}

func (d delivery) toGitHub(r api.Request, credentials []gatekeeper.Credential) error {
	if d.export != "none" {
		err := d.each(credentials, func(env, output, value string, f field) error {
			if output != "" && (d.export == "outputs" || f.always) {
				if err := d.gh.setOutput(output, value); err != nil {
					return err
				}
			}
			if env != "" && d.export == "env" {
				return d.gh.setEnv(env, value)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if d.export == "outputs" {
		if err := d.allAsJSON(credentials); err != nil {
			return err
		}
	}
	return d.gh.finish(r, credentials)
}

// allAsJSON is one output with all credentials by their names: a composite
// action can declare no output whose name depends on the rule.
func (d delivery) allAsJSON(credentials []gatekeeper.Credential) error {
	byName := map[string]gatekeeper.Credential{}
	for _, c := range credentials {
		byName[c.Name] = c
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // what is masked has to be what is written
	if err := e.Encode(byName); err != nil {
		return err
	}
	return d.gh.setOutput("credentials", strings.TrimSpace(b.String()))
}

// toProcess is what AWS SDKs read from a credential_process
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
func (d delivery) toProcess(c gatekeeper.Credential) error {
	return json.NewEncoder(d.w.stdout).Encode(struct {
		Version         int
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}{1, c.AWS.AccessKeyID, c.AWS.SecretAccessKey, c.AWS.SessionToken, c.ExpiresAt.UTC().Format(time.RFC3339)})
}

func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

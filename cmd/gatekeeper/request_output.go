package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

// delivery hands over what the step got, in the way that was asked for.
type delivery struct {
	w      world
	output string
	export string
	log    io.Writer // for people
	gh     *workflow // inside GitHub Actions
}

func newDelivery(w world, output, export string) (delivery, error) {
	if output == "" {
		output = "env"
		if w.env("GITHUB_ACTIONS") == "true" {
			output = "github"
		}
	}
	d := delivery{w: w, output: output, export: export, log: w.stderr}
	if export != "env" && export != "outputs" && export != "none" {
		return d, fmt.Errorf("--export %q is none of env, outputs, none", export)
	}
	switch output {
	case "github":
		d.log = w.stdout
		d.gh = newWorkflow(w.env, w.stdout)
	case "env", "json", "credential-process":
	default:
		return d, fmt.Errorf("--output %q is none of github, env, json, credential-process", output)
	}
	return d, nil
}

// field is one value of a credential, under the names that its users expect.
type field struct {
	env, output, value string
	secret             bool
}

func fields(c gatekeeper.Credential) []field {
	if c.AWS == nil {
		return nil
	}
	return []field{
		{"AWS_ACCESS_KEY_ID", "aws-access-key-id", c.AWS.AccessKeyID, true},
		{"AWS_SECRET_ACCESS_KEY", "aws-secret-access-key", c.AWS.SecretAccessKey, true},
		{"AWS_SESSION_TOKEN", "aws-session-token", c.AWS.SessionToken, true},
		{"AWS_REGION", "aws-region", c.AWS.Region, false},
		{"AWS_DEFAULT_REGION", "", c.AWS.Region, false},
	}
}

// mask tells the runner what must not show in any log. Nothing is written
// anywhere before it.
func (d delivery) mask(c gatekeeper.Credential) {
	if d.gh == nil {
		return
	}
	for _, f := range fields(c) {
		if f.secret {
			d.gh.mask(f.value)
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
		return d.toProcess(credentials)
	}
	for _, c := range credentials {
		for _, f := range fields(c) {
			if f.value != "" {
				fmt.Fprintf(d.w.stdout, "export %s=%s\n", f.env, shellQuoted(f.value))
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
	for _, c := range credentials {
		for _, f := range fields(c) {
			if f.value == "" {
				continue
			}
			var err error
			switch {
			case d.export == "env":
				err = d.gh.setEnv(f.env, f.value)
			case d.export == "outputs" && f.output != "":
				err = d.gh.setOutput(f.output, f.value)
			}
			if err != nil {
				return err
			}
		}
	}
	return d.gh.finish(r, credentials)
}

// toProcess is what AWS SDKs read from a credential_process
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
func (d delivery) toProcess(credentials []gatekeeper.Credential) error {
	var aws []gatekeeper.Credential
	for _, c := range credentials {
		if c.AWS != nil {
			aws = append(aws, c)
		}
	}
	if len(aws) != 1 {
		return fmt.Errorf("credential-process gives one AWS credential and the rule gives %d; name it with --credentials", len(aws))
	}
	return json.NewEncoder(d.w.stdout).Encode(struct {
		Version         int
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}{1, aws[0].AWS.AccessKeyID, aws[0].AWS.SecretAccessKey, aws[0].AWS.SessionToken, aws[0].ExpiresAt.UTC().Format(time.RFC3339)})
}

func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

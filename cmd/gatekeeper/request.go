package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
	"github.com/urfave/cli/v2"
)

// The exit codes of `gatekeeper request`.
const (
	exitDenied       = 3 // a person denied it
	exitUndecided    = 4 // expired, canceled, superseded
	exitNotPermitted = 5 // token invalid, or no rule allows it
)

// redeemAtLeast is how long taking the credentials may take when people
// decided in the last moment of --timeout.
const redeemAtLeast = 2 * time.Minute

// pollFor is how long one call waits for news; proxies cut calls of a minute.
const pollFor = 30 * time.Second

func requestCommand(w world) *cli.Command {
	return &cli.Command{
		Name:  "request",
		Usage: "ask for an environment, wait until people approved, and take the credentials",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "url", Usage: "the gatekeeper's public `URL`; GATEKEEPER_URL when it is not given"},
			&cli.StringFlag{Name: "environment", Usage: "what is asked for, e.g. production"},
			&cli.StringFlag{Name: "credentials", Usage: "names, comma-separated; all of the rule's when empty"},
			&cli.StringFlag{Name: "reason", Usage: "shown to approvers"},
			&cli.DurationFlag{Name: "timeout", Value: time.Hour, Usage: "how long to wait for people"},
			&cli.StringFlag{Name: "audience", Usage: "aud of the token presented to the gatekeeper; its URL when empty"},
			&cli.StringFlag{Name: "output", Usage: "github, env, json or credential-process; github inside GitHub Actions, env elsewhere"},
			&cli.StringFlag{Name: "export", Value: "env", Usage: "with --output github: env, outputs or none"},
			&cli.StringFlag{Name: "only", Usage: "take only these of the request's credentials: names, comma-separated"},
			&cli.BoolFlag{Name: "prefix", Usage: "start variables and outputs with the credential's name: DEPLOY_AWS_ACCESS_KEY_ID"},
			&cli.StringFlag{Name: "github-token-env", Usage: "the `VARIABLE` that a GitHub token is exported as; otherwise it is an output only"},
			&cli.StringFlag{Name: "cache-file", Usage: "with --output credential-process: where the session is kept until it ends; in RUNNER_TEMP where there is one, or none"},
			&cli.StringFlag{Name: "attestation", Usage: "write what was approved to `FILE`, as a signed in-toto statement; inside GitHub Actions always, in RUNNER_TEMP"},
			&cli.StringFlag{Name: "artifacts", Usage: "what the job deploys, NAME@sha256:…, comma-separated: the attestation is of them too"},
			&cli.StringFlag{Name: "token-file", Usage: "where the CI puts its OIDC token, read again for each call"},
			&cli.StringFlag{Name: "subject-token-file", Usage: "where the CI puts the token for the cloud, if it cannot mint one"},
		},
		Action: func(c *cli.Context) error { return request(w, c) },
	}
}

// step is one run of `gatekeeper request`.
type step struct {
	w        world
	url      string
	body     api.OpenBody
	timeout  time.Duration
	tokens   tokens
	deliver  delivery
	only     []string // of the request's credentials; empty: all
	client   *api.Client
	progress *progress
	tracing  *trace.Tracing // nil: no spans of our own

	cacheFile   string // of credential-process
	attestation string // where the attestation is written; "": nowhere, or by default
	artifacts   []string
}

func request(w world, c *cli.Context) error {
	s, err := newStep(w, c)
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	return s.traced(c.Context, func(ctx context.Context) error {
		if s.deliver.output == "credential-process" {
			return s.process(ctx)
		}
		return s.run(ctx)
	})
}

// newStep checks everything that can be wrong before anything is asked.
func newStep(w world, c *cli.Context) (*step, error) {
	s := &step{w: w, url: strings.TrimSuffix(c.String("url"), "/"), timeout: c.Duration("timeout")}
	if c.Args().Present() {
		return nil, fmt.Errorf("%q is no flag of request; see `gatekeeper request --help`", c.Args().First())
	}
	if s.url == "" {
		s.url = strings.TrimSuffix(w.env("GATEKEEPER_URL"), "/")
	}
	if s.url == "" {
		return nil, errors.New("--url is missing (or GATEKEEPER_URL): the gatekeeper's public URL")
	}
	if err := api.CheckURL(s.url); err != nil {
		return nil, errors.New(said(err))
	}
	s.body = api.OpenBody{Environment: c.String("environment"), Reason: c.String("reason"), Credentials: names(c.String("credentials"))}
	if s.body.Environment == "" {
		return nil, errors.New("--environment is missing, e.g. --environment production")
	}
	if s.timeout <= 0 {
		return nil, errors.New("--timeout has to be longer than nothing, e.g. 1h")
	}
	var err error
	if s.tokens, err = newTokens(w, c.String("audience"), s.url, c.String("token-file"), c.String("subject-token-file")); err != nil {
		return nil, err
	}
	s.only, s.cacheFile, s.attestation = names(c.String("only")), c.String("cache-file"), c.String("attestation")
	s.artifacts = names(c.String("artifacts"))
	how := deliveryOptions{output: c.String("output"), export: c.String("export"), prefix: c.Bool("prefix"), githubEnv: c.String("github-token-env")}
	if s.deliver, err = newDelivery(w, how); err != nil {
		return nil, err
	}
	if err := s.checkArtifacts(); err != nil {
		return nil, err
	}
	s.progress = newProgress(s.deliver.log, time.Now)
	s.openTracing()
	s.client = &api.Client{URL: s.url, Token: s.tokens.gatekeeper, Trouble: s.progress.trouble, Transport: s.tracing.ToGatekeeper(http.DefaultTransport)}
	return s, nil
}

func names(list string) []string {
	var all []string
	for _, name := range strings.Split(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	return all
}

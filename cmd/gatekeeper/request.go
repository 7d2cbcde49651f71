package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
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
	client   *api.Client
	progress *progress
}

func request(w world, c *cli.Context) error {
	s, err := newStep(w, c)
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	return s.run(c.Context)
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
	if s.deliver, err = newDelivery(w, c.String("output"), c.String("export")); err != nil {
		return nil, err
	}
	s.progress = newProgress(s.deliver.log, time.Now)
	s.client = &api.Client{URL: s.url, Token: s.tokens.gatekeeper, Trouble: s.progress.trouble}
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

// run asks, waits and takes. ctx ends when the job is cancelled.
func (s *step) run(ctx context.Context) error {
	began := time.Now()
	deadline, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	a, err := s.client.Open(deadline, s.body)
	if err != nil {
		return s.failed(ctx, err)
	}
	s.progress.opened(a.Request, s.timeout)
	a, err = s.decided(deadline, a)
	if err != nil || a.State == gatekeeper.Pending {
		s.withdraw(a.ID)
		return s.undecided(ctx, a, err)
	}
	s.progress.ended(a.Request)
	if a.State != gatekeeper.Approved {
		return s.turnedDown(a)
	}
	taking, done := context.WithTimeout(ctx, max(s.timeout-time.Since(began), redeemAtLeast))
	defer done()
	credentials, err := s.redeem(taking, a.Request)
	if gatekeeper.CodeOf(err) == gatekeeper.CodeExpired { // people did decide; it lapsed or is used up
		return cli.Exit(said(err), exitFailed)
	}
	if err != nil {
		return s.failed(ctx, err)
	}
	if err := s.deliver.approved(a.Request, credentials); err != nil {
		return cli.Exit(err.Error(), exitFailed)
	}
	return nil
}

// decided waits until the request is no longer pending, or ctx ends.
func (s *step) decided(ctx context.Context, a api.Answer) (api.Answer, error) {
	stop := s.progress.everyMinute(ctx)
	defer stop()
	for a.State == gatekeeper.Pending && ctx.Err() == nil {
		next, err := s.client.Wait(ctx, a.ID, a.ETag, pollFor)
		if err != nil {
			return a, err
		}
		a = next
		s.progress.seen(a.Request)
	}
	return a, nil
}

// withdraw tells people that nobody waits any more. The job is being stopped,
// or has waited long enough: it gets a few seconds, and its failure changes
// nothing.
func (s *step) withdraw(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if a, err := s.client.Cancel(ctx, id); err == nil && a.State == gatekeeper.Canceled {
		s.progress.say("The request was withdrawn.")
	}
}

func (s *step) undecided(ctx context.Context, a api.Answer, err error) error {
	s.deliver.outcome(a.Request, "canceled")
	switch {
	case ctx.Err() != nil:
		return cli.Exit("the job was cancelled, and the request with it", exitUndecided)
	case err != nil && !errors.Is(err, context.DeadlineExceeded) && gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable:
		return s.failed(ctx, err)
	case err != nil && gatekeeper.CodeOf(err) == gatekeeper.CodeUnavailable && s.progress.lost():
		return cli.Exit(said(err), exitFailed)
	}
	return cli.Exit(fmt.Sprintf("nobody decided within %s", s.timeout), exitUndecided)
}

func (s *step) turnedDown(a api.Answer) error {
	s.deliver.outcome(a.Request, string(a.State))
	if a.State != gatekeeper.Denied && a.State != gatekeeper.Revoked {
		return cli.Exit("the request is "+string(a.State), exitUndecided)
	}
	by, reason := "somebody", ""
	if a.Approval.DeniedBy != nil {
		by = oneLine(a.Approval.DeniedBy.Name)
	}
	if a.Approval.DenyReason != "" {
		reason = ": " + oneLine(a.Approval.DenyReason)
	}
	return cli.Exit(string(a.State)+" by "+by+reason, exitDenied)
}

func (s *step) redeem(ctx context.Context, r api.Request) ([]gatekeeper.Credential, error) {
	credentials := []gatekeeper.Credential{}
	for _, spec := range r.Credentials {
		if asked := s.body.Credentials; len(asked) > 0 && !slices.Contains(asked, spec.Name) {
			continue // the approval of a deployment covers all that its jobs may ask for
		}
		var subject func(context.Context) (string, error)
		if spec.SubjectTokenAudience != "" {
			subject = func(ctx context.Context) (string, error) { return s.tokens.subject(ctx, spec.SubjectTokenAudience) }
		}
		credential, err := s.client.Redeem(ctx, r.ID, spec.Name, subject)
		if err != nil {
			return nil, err
		}
		s.deliver.mask(credential) // before anything else can go wrong
		credentials = append(credentials, credential)
	}
	return credentials, nil
}

// failed maps an error to its exit code.
func (s *step) failed(ctx context.Context, err error) error {
	code := exitFailed
	switch gatekeeper.CodeOf(err) {
	case gatekeeper.CodeInvalidToken, gatekeeper.CodeAccessDenied:
		code = exitNotPermitted
	case gatekeeper.CodeExpired:
		code = exitUndecided
	}
	if ctx.Err() != nil {
		return cli.Exit("the job was cancelled", exitUndecided)
	}
	return cli.Exit(said(err), code)
}

// said is an error as a person reads it: what the gatekeeper or we say, not
// its code.
func said(err error) string {
	var coded *gatekeeper.Error
	if errors.As(err, &coded) {
		return oneLine(coded.Description)
	}
	return oneLine(err.Error())
}

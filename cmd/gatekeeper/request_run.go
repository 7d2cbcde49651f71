package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
	"github.com/urfave/cli/v2"
)

// run asks, waits, takes and delivers. ctx ends when the job is cancelled.
func (s *step) run(ctx context.Context) error {
	r, credentials, err := s.obtain(ctx)
	if err != nil {
		return err
	}
	if err := s.deliver.approved(r, credentials); err != nil {
		return cli.Exit(err.Error(), exitFailed)
	}
	return s.attest(ctx, r)
}

// obtain asks, waits and takes. Its errors have their exit codes.
func (s *step) obtain(ctx context.Context) (api.Request, []gatekeeper.Credential, error) {
	began := time.Now()
	deadline, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	a, err := s.open(deadline)
	if err != nil {
		return a.Request, nil, s.failed(ctx, err)
	}
	s.progress.opened(a.Request, s.timeout)
	if _, err := s.wanted(a.Request); err != nil {
		s.withdraw(ctx, a.ID)
		return a.Request, nil, cli.Exit(err.Error(), exitUsage)
	}
	a, err = s.decided(deadline, a)
	if err != nil || a.State == gatekeeper.Pending {
		s.withdraw(ctx, a.ID)
		return a.Request, nil, s.undecided(ctx, a, err)
	}
	s.progress.ended(a.Request)
	if a.State != gatekeeper.Approved {
		return a.Request, nil, s.turnedDown(a)
	}
	taking, done := context.WithTimeout(ctx, max(s.timeout-time.Since(began), redeemAtLeast))
	defer done()
	credentials, err := s.redeem(taking, a.Request)
	if gatekeeper.CodeOf(err) == gatekeeper.CodeExpired { // people did decide; it lapsed or is used up
		return a.Request, nil, cli.Exit(said(err), exitFailed)
	}
	if err != nil {
		return a.Request, nil, s.failed(ctx, err)
	}
	return a.Request, credentials, nil
}

// decided waits until the request is no longer pending, or ctx ends.
func (s *step) decided(ctx context.Context, a api.Answer) (_ api.Answer, err error) {
	ctx, end := s.tracing.Start(ctx, "wait for people", aboutAnswer(a)...)
	defer func() { end(err) }()
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
func (s *step) withdraw(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
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
	specs, err := s.wanted(r)
	if err != nil {
		return nil, err
	}
	for _, spec := range specs {
		if s.deliver.output == "credential-process" && spec.Type != "aws" {
			continue
		}
		credential, err := s.take(ctx, r.ID, spec)
		if err != nil {
			return nil, err
		}
		credentials = append(credentials, credential)
	}
	return credentials, nil
}

// take redeems one credential.
func (s *step) take(ctx context.Context, id string, spec api.Spec) (gatekeeper.Credential, error) {
	var subject func(context.Context) (string, error)
	if spec.SubjectTokenAudience != "" {
		subject = func(ctx context.Context) (string, error) { return s.tokens.subject(ctx, spec.SubjectTokenAudience) }
	}
	ctx, end := s.tracing.Start(ctx, "redeem", trace.About(id, "", "", "", spec.Type)...)
	credential, err := s.client.Redeem(ctx, id, spec.Name, subject)
	end(err)
	if err == nil {
		s.deliver.mask(credential) // before anything else can go wrong
	}
	return credential, err
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

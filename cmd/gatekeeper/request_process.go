package main

import (
	"context"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/urfave/cli/v2"
)

const (
	// refreshBefore is how long a session has to live yet to be handed out
	// again. SDKs ask 5 to 15 minutes ahead, and take one that lives on.
	refreshBefore = 5 * time.Minute
	// usableFor is how long it has to live to be better than an error.
	usableFor = 15 * time.Second
)

// process is one run of --output credential-process. AWS's tools run it
// whenever they want a session: for each command, and before the last one
// ends. The request is the job's same one each time, redeemed again within
// the rule's redemptions.
func (s *step) process(ctx context.Context) error {
	cache := newProcessCache(s.w.env, s.cacheFile, append([]string{s.url, s.body.Environment, "only"}, append(s.only, s.body.Credentials...)...)...)
	waiting, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	done, err := cache.alone(waiting)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	defer done()
	had, ok := cache.read()
	if left := time.Until(had.Credential.ExpiresAt); ok && left > refreshBefore {
		return s.deliver.toProcess(had.Credential)
	}
	got, exit := s.renewed(ctx, had)
	if exit != nil {
		if ok && time.Until(had.Credential.ExpiresAt) > usableFor {
			s.progress.say("The session cannot be renewed (%v); the one that lives until %s is used on.", exit, had.Credential.ExpiresAt.Format(time.RFC3339))
			return s.deliver.toProcess(had.Credential)
		}
		return exit
	}
	if err := cache.write(got); err != nil {
		s.progress.say("The session cannot be kept (%v), so the next run spends another redemption.", err)
	}
	return s.deliver.toProcess(got.Credential)
}

// renewed redeems the request of the session before once more, and asks anew
// where that gives nothing.
func (s *step) renewed(ctx context.Context, had kept) (kept, error) {
	if had.Request != "" {
		taking, done := context.WithTimeout(ctx, redeemAtLeast)
		defer done()
		spec := api.Spec{Name: had.Name, SubjectTokenAudience: had.Audience}
		credential, err := s.take(taking, had.Request, spec)
		switch gatekeeper.CodeOf(err) {
		case "":
			had.Credential = credential
			return had, nil
		case gatekeeper.CodeExpired, gatekeeper.CodeNotFound:
		default:
			return had, s.failed(ctx, err)
		}
	}
	r, credentials, err := s.obtain(ctx)
	if err != nil {
		return kept{}, err
	}
	got := kept{Request: r.ID, Name: credentials[0].Name, Credential: credentials[0]}
	for _, spec := range r.Credentials {
		if spec.Name == got.Name {
			got.Audience = spec.SubjectTokenAudience
		}
	}
	return got, nil
}

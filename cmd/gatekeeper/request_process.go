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
	// renewWithin is how long a session that still lives may take to be renewed:
	// SDKs wait a minute at most, and the old one is better than none.
	renewWithin = 20 * time.Second
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
	left := time.Until(had.Credential.ExpiresAt)
	if ok && left > refreshBefore {
		return s.deliver.toProcess(had.Credential)
	}
	var got kept
	if ok && left > usableFor {
		if got, err = s.renewed(ctx, had, min(s.timeout, renewWithin)); err != nil {
			s.progress.say("The session cannot be renewed (%v); the one that lives until %s is used on.", said(err), had.Credential.ExpiresAt.Format(time.RFC3339))
			return s.deliver.toProcess(had.Credential)
		}
	} else if got, err = s.again(ctx, had); err != nil {
		return err
	}
	if err := cache.write(got); err != nil {
		s.progress.say("The session cannot be kept (%v), so the next run spends another redemption.", err)
	}
	return s.deliver.toProcess(got.Credential)
}

// renewed redeems the request of the session before once more.
func (s *step) renewed(ctx context.Context, had kept, within time.Duration) (kept, error) {
	taking, done := context.WithTimeout(ctx, within)
	defer done()
	credential, err := s.take(taking, had.Request, api.Spec{Name: had.Name, SubjectTokenAudience: had.Audience})
	if err != nil {
		return kept{}, err
	}
	had.Credential = credential
	return had, nil
}

// again obtains a session where none lives: by the request of the one before,
// or by asking anew.
func (s *step) again(ctx context.Context, had kept) (kept, error) {
	if had.Request != "" {
		got, err := s.renewed(ctx, had, s.timeout)
		switch gatekeeper.CodeOf(err) {
		case "":
			return got, nil
		case gatekeeper.CodeExpired, gatekeeper.CodeNotFound:
		default:
			return kept{}, s.failed(ctx, err)
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

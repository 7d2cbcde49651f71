package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

// tokenSource gives an OIDC token for an audience. One whose token is fixed
// does not look at it.
type tokenSource func(ctx context.Context, audience string) (string, error)

// tokens is where the step's OIDC tokens come from. CI tokens live minutes
// and approvals take longer, so each call gets a fresh one where there is.
type tokens struct {
	audience string
	ours     tokenSource // for the gatekeeper
	clouds   tokenSource // for a cloud; nil: this CI gives the step none
}

// projectedToken is where docs/ci.md mounts Kubernetes' token. The pod's own
// service account token is never taken: it is the cluster's key.
const projectedToken = "/var/run/secrets/gatekeeper/token"

func newTokens(w world, audience, url, file, subjectFile string) (tokens, error) {
	t := tokens{audience: audience}
	if t.audience == "" {
		t.audience = url
	}
	runner, err := githubRunner(w)
	if err != nil {
		return t, err
	}
	agent := w.agent()
	t.ours = first(runner, fileSource(file), fixedSource(w.env("GATEKEEPER_TOKEN")), agent,
		fixedSource(w.env("CIRCLE_OIDC_TOKEN_V2")), fixedSource(w.env("BITBUCKET_STEP_OIDC_TOKEN")), projected(w))
	t.clouds = first(runner, fileSource(subjectFile), fixedSource(w.env("GATEKEEPER_SUBJECT_TOKEN")), agent)
	if t.ours == nil {
		return t, errors.New(howToGetOne(w.env, t.audience))
	}
	return t, nil
}

// first is the first source that there is.
func first(sources ...tokenSource) tokenSource {
	for _, s := range sources {
		if s != nil {
			return s
		}
	}
	return nil
}

// gatekeeper is a token for the gatekeeper.
func (t tokens) gatekeeper(ctx context.Context) (string, error) { return t.ours(ctx, t.audience) }

// subject is a token for a cloud's audience.
func (t tokens) subject(ctx context.Context, audience string) (string, error) {
	if t.clouds == nil {
		return "", gatekeeper.Errorf(gatekeeper.CodeInvalidRequest,
			"this credential needs a second token with audience %q, and this CI cannot mint it here; give it as GATEKEEPER_SUBJECT_TOKEN or --subject-token-file", audience)
	}
	return t.clouds(ctx, audience)
}

func fixedSource(token string) tokenSource {
	if token = strings.TrimSpace(token); token == "" {
		return nil
	}
	return func(context.Context, string) (string, error) { return token, nil }
}

// fileSource reads the file for each call: whoever wrote it keeps it fresh.
func fileSource(path string) tokenSource {
	if path == "" {
		return nil
	}
	return func(context.Context, string) (string, error) {
		body, err := os.ReadFile(path)
		if err != nil {
			return "", gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the token file %s cannot be read", path)
		}
		return strings.TrimSpace(string(body)), nil
	}
}

func projected(w world) tokenSource {
	path := w.env("GATEKEEPER_TOKEN_FILE")
	if path == "" {
		path = projectedToken
		if _, err := os.Stat(path); err != nil {
			return nil
		}
	}
	return fileSource(path)
}

// githubRunner is nil outside GitHub Actions, and in jobs that may not mint.
func githubRunner(w world) (tokenSource, error) {
	url, bearer := w.env("ACTIONS_ID_TOKEN_REQUEST_URL"), w.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if url == "" || bearer == "" {
		return nil, nil
	}
	if api.CheckURL(url) != nil {
		return nil, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is no https URL")
	}
	return func(ctx context.Context, audience string) (string, error) { return mint(ctx, url, bearer, audience) }, nil
}

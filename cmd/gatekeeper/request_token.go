package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

// tokens is where the step's OIDC tokens come from. CI tokens live minutes
// and approvals take longer, so each call gets a fresh one where there is.
type tokens struct {
	audience              string
	mintURL, mintToken    string // GitHub's runner
	file, subjectFile     string
	fixed, fixedForClouds string
}

// howToGetOne says for each CI what gives the job its token.
const howToGetOne = "there is no OIDC token; in GitHub Actions give the job `permissions: id-token: write`, " +
	"in GitLab set GATEKEEPER_TOKEN under `id_tokens`, in Buildkite use `buildkite-agent oidc request-token`, " +
	"in CircleCI pass $CIRCLE_OIDC_TOKEN_V2, in Kubernetes mount a projected token; then GATEKEEPER_TOKEN or --token-file"

func newTokens(env func(string) string, audience, url, file, subjectFile string) (tokens, error) {
	t := tokens{
		audience: audience, file: file, subjectFile: subjectFile,
		mintURL: env("ACTIONS_ID_TOKEN_REQUEST_URL"), mintToken: env("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
		fixed: env("GATEKEEPER_TOKEN"), fixedForClouds: env("GATEKEEPER_SUBJECT_TOKEN"),
	}
	if t.audience == "" {
		t.audience = url
	}
	if t.mintURL == "" || t.mintToken == "" {
		t.mintURL = ""
	} else if api.CheckURL(t.mintURL) != nil {
		return t, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is no https URL")
	}
	if t.mintURL == "" && t.file == "" && t.fixed == "" {
		return t, errors.New(howToGetOne)
	}
	return t, nil
}

// gatekeeper is a token for the gatekeeper.
func (t tokens) gatekeeper(ctx context.Context) (string, error) {
	if t.mintURL != "" {
		return t.mint(ctx, t.audience)
	}
	if t.file != "" {
		return fromFile(t.file)
	}
	return t.fixed, nil
}

// subject is a token for a cloud's audience.
func (t tokens) subject(ctx context.Context, audience string) (string, error) {
	switch {
	case t.mintURL != "":
		return t.mint(ctx, audience)
	case t.subjectFile != "":
		return fromFile(t.subjectFile)
	case t.fixedForClouds != "":
		return t.fixedForClouds, nil
	}
	return "", gatekeeper.Errorf(gatekeeper.CodeInvalidRequest,
		"this credential needs a second token with audience %q, and this CI cannot mint it here; give it as GATEKEEPER_SUBJECT_TOKEN or --subject-token-file", audience)
}

func fromFile(path string) (string, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return "", gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the token file %s cannot be read", path)
	}
	return strings.TrimSpace(string(body)), nil
}

// mint asks GitHub's runner
// (https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token).
func (t tokens) mint(ctx context.Context, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	separator := "?"
	if strings.Contains(t.mintURL, "?") {
		separator = "&"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.mintURL+separator+"audience="+url.QueryEscape(audience), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "bearer "+t.mintToken)
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "GitHub's runner does not answer with a token")
	}
	defer resp.Body.Close()
	var answer struct {
		Value string `json:"value"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer)
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return "", gatekeeper.Errorf(gatekeeper.CodeInvalidToken, "GitHub gives this job no token (%s); does it have `permissions: id-token: write`?", resp.Status)
	case resp.StatusCode != http.StatusOK || err != nil || answer.Value == "":
		return "", gatekeeper.Errorf(gatekeeper.CodeUnavailable, "GitHub's runner answered %s for a token", resp.Status)
	}
	return answer.Value, nil
}

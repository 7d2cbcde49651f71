package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// mintTime bounds what one token may take to come.
const mintTime = 10 * time.Second

// mint asks GitHub's runner
// (https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token).
func mint(ctx context.Context, mintURL, bearer, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, mintTime)
	defer cancel()
	separator := "?"
	if strings.Contains(mintURL, "?") {
		separator = "&"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, mintURL+separator+"audience="+url.QueryEscape(audience), nil) //nolint:gosec // the runner's own address, https or loopback: see githubRunner
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "bearer "+bearer)
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req) //nolint:gosec // as above
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

// agent is the CI's own program that mints tokens, nil where there is none.
func (w world) agent() tokenSource {
	switch {
	case w.env("BUILDKITE") == "true" && w.finds("buildkite-agent"):
		// The ids are what tells one organization and pipeline from another's of
		// that name, and are there only on request.
		return w.printed("buildkite-agent", func(audience string) []string {
			return []string{"oidc", "request-token", "--audience", audience, "--claim", "organization_id,pipeline_id"}
		})
	case w.env("CIRCLECI") == "true" && w.finds("circleci"):
		return w.printed("circleci", func(audience string) []string {
			claims, _ := json.Marshal(map[string]string{"aud": audience}) // a string always marshals
			return []string{"run", "oidc", "get", "--claims", string(claims)}
		})
	}
	return nil
}

// printed is a token that a program prints.
func (w world) printed(program string, args func(audience string) []string) tokenSource {
	return func(ctx context.Context, audience string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, mintTime)
		defer cancel()
		all := args(audience)
		out, err := w.runs(ctx, program, all...)
		if err != nil {
			return "", gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "`%s %s` gives no token: %s", program, strings.Join(all[:2], " "), oneLine(err.Error()))
		}
		if token := strings.TrimSpace(out); strings.Count(token, ".") == 2 && !strings.ContainsAny(token, " \n") {
			return token, nil
		}
		return "", gatekeeper.Errorf(gatekeeper.CodeUnavailable, "`%s %s` printed something that is no token", program, strings.Join(all[:2], " "))
	}
}

package github

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// secondaryWait is how long GitHub is left alone after a secondary limit that
// does not say (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
const secondaryWait = time.Minute

// unavailable keeps the cause for the log and says when to ask again.
// go-github's errors name the URL and GitHub's message, never the token, which
// travels in a header.
func unavailable(err error, what string) error {
	if err == nil {
		return nil
	}
	coded := gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "GitHub could not be asked to %s", what)
	coded.RetryAfter = patience(err)
	return coded
}

// patience is how long a limit asks to wait; 0: nothing was said of it.
func patience(err error) time.Duration {
	var primary *github.RateLimitError
	var secondary *github.AbuseRateLimitError
	var quiet *silence
	switch {
	case errors.As(err, &quiet):
		return quiet.left
	case errors.As(err, &primary):
		return max(time.Second, time.Until(primary.Rate.Reset.Time))
	case errors.As(err, &secondary):
		if secondary.RetryAfter == nil {
			return secondaryWait
		}
		return max(time.Second, *secondary.RetryAfter)
	}
	status, header := answered(err)
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		return min(time.Duration(seconds)*time.Second, time.Hour)
	}
	if status != http.StatusForbidden && status != http.StatusTooManyRequests {
		return 0
	}
	if reset, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64); err == nil && header.Get("X-RateLimit-Remaining") == "0" {
		return max(time.Second, time.Until(time.Unix(reset, 0))) // also where a token was asked for
	}
	if status == http.StatusTooManyRequests {
		return secondaryWait
	}
	return 0
}

// statusOfCall is the status that GitHub answered with, 0 when no answer came.
func statusOfCall(err error) int {
	status, _ := answered(err)
	return status
}

func answered(err error) (status int, header http.Header) {
	var plain *github.ErrorResponse
	var token *ghinstallation.HTTPError
	var primary *github.RateLimitError
	var secondary *github.AbuseRateLimitError
	var resp *http.Response
	switch {
	case errors.As(err, &plain):
		resp = plain.Response
	case errors.As(err, &token):
		resp = token.Response
	case errors.As(err, &primary):
		resp = primary.Response
	case errors.As(err, &secondary):
		resp = secondary.Response
	}
	if resp == nil {
		return 0, nil
	}
	return resp.StatusCode, resp.Header
}

// forbidden says whether the App lacks the permission, or the installation
// the access, rather than GitHub being out of reach.
func forbidden(err error) bool {
	return err != nil && patience(err) == 0 && (statusOfCall(err) == http.StatusForbidden || statusOfCall(err) == http.StatusNotFound)
}

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Client calls a gatekeeper for a CI step. URL and Token are needed.
type Client struct {
	URL   string                                    // public, https or loopback
	Token func(ctx context.Context) (string, error) // fresh for each call where the CI can mint one
	HTTP  *http.Client                              // nil: one that follows no redirects
	// Transport is that one's; nil: the default one.
	Transport http.RoundTripper
	// Trouble is told when the gatekeeper cannot be reached, or is not ready;
	// nil when it answers again.
	Trouble func(err error)
}

// Answer is a request with the version that the caller has seen then.
type Answer struct {
	Request
	ETag string `json:"-"`
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// CheckURL says what is wrong with a gatekeeper's URL.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q is no URL of a gatekeeper; it would be https://gatekeeper.example.com", raw)
	case u.Scheme == "https" || u.Scheme == "http" && gatekeeper.Loopback(u.Hostname()):
		return nil
	}
	return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q has to be https: the token that is sent there must not be read on the way", raw)
}

// Open opens a request, or finds the one that this workload has.
func (c *Client) Open(ctx context.Context, body OpenBody) (Answer, error) {
	return c.request(ctx, http.MethodPost, "/v1/requests", "", body)
}

// Wait gives the request when it is newer than seen, or after a while.
func (c *Client) Wait(ctx context.Context, id, seen string, wait time.Duration) (Answer, error) {
	return c.request(ctx, http.MethodGet, "/v1/requests/"+url.PathEscape(id)+"?wait="+wait.String(), seen, nil)
}

// Cancel withdraws the request. It is tried once: a step that is being
// stopped has little time.
func (c *Client) Cancel(ctx context.Context, id string) (Answer, error) {
	var a Answer
	_, err := c.once(ctx, http.MethodPost, "/v1/requests/"+url.PathEscape(id)+"/cancel", "", nil, &a.Request)
	return a, err
}

// Redeem obtains one credential. subjectToken mints the CI's token for the
// cloud, fresh for each try; nil where none is needed.
func (c *Client) Redeem(ctx context.Context, id, name string, subjectToken func(context.Context) (string, error)) (gatekeeper.Credential, error) {
	return retry(ctx, c, func() (gatekeeper.Credential, error) {
		body := RedeemBody{Name: name}
		var credential gatekeeper.Credential
		if subjectToken != nil {
			token, err := subjectToken(ctx)
			if err != nil {
				return credential, err
			}
			body.SubjectToken = token
		}
		_, err := c.once(ctx, http.MethodPost, "/v1/requests/"+url.PathEscape(id)+"/credentials", "", body, &credential)
		return credential, err
	})
}

func (c *Client) request(ctx context.Context, method, path, seen string, body any) (Answer, error) {
	return retry(ctx, c, func() (Answer, error) {
		var a Answer
		header, err := c.once(ctx, method, path, seen, body, &a.Request)
		a.ETag = header.Get("ETag")
		return a, err
	})
}

// retry tries again what may go well again, until ctx ends: the network, a
// gatekeeper that restarts, one that asks to slow down. A definite answer is
// never tried again.
func retry[T any](ctx context.Context, c *Client, try func() (T, error)) (T, error) {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 200*time.Millisecond, 10*time.Second
	var last error
	got, err := backoff.Retry(ctx, func() (T, error) {
		got, err := try()
		last = err
		if err == nil {
			c.trouble(nil)
			return got, nil
		}
		var coded *gatekeeper.Error
		if !errors.As(err, &coded) || !mayGoWell(coded) || ctx.Err() != nil {
			return got, backoff.Permanent(err)
		}
		c.trouble(err)
		if coded.RetryAfter > 0 {
			return got, &backoff.RetryAfterError{Duration: coded.RetryAfter}
		}
		return got, err
	}, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(0))
	if err != nil && last != nil {
		err = last // what went wrong, not that trying ended
	}
	return got, err
}

// mayGoWell takes an exchange that failed for a definite answer unless the
// gatekeeper says when to try again: it counts the attempts.
func mayGoWell(err *gatekeeper.Error) bool {
	return err.Code == gatekeeper.CodeUnavailable || err.Code == gatekeeper.CodeSlowDown ||
		err.Code == gatekeeper.CodeExchangeFailed && err.RetryAfter > 0
}

func (c *Client) trouble(err error) {
	if c.Trouble != nil {
		c.Trouble(err)
	}
}

// once makes one call. Errors are *gatekeeper.Error with the API's codes; the
// network's are CodeUnavailable.
func (c *Client) once(ctx context.Context, method, path, seen string, body, into any) (http.Header, error) {
	req, err := c.prepare(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if seen != "" {
		req.Header.Set("If-None-Match", seen)
	}
	resp, err := c.http().Do(req)
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the gatekeeper at %s cannot be reached: %v", c.URL, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the gatekeeper's answer did not arrive whole")
	}
	if resp.StatusCode/100 != 2 {
		return nil, failure(resp, answer)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the answer of %s is not a gatekeeper's; check the URL", c.URL)
	}
	return resp.Header, nil
}

func (c *Client) prepare(ctx context.Context, method, path string, body any) (*http.Request, error) {
	token, err := c.Token(ctx)
	if err != nil {
		return nil, err
	}
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// http follows no redirects: the token is for this gatekeeper alone.
func (c *Client) http() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{
		Transport:     c.Transport,
		Timeout:       maxWait + 30*time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// failure reads an error answer. A 5xx that is not a gatekeeper's own comes
// from what stands before it, and may pass.
func failure(resp *http.Response, body []byte) error {
	var e ErrorBody
	if err := json.Unmarshal(body, &e); err != nil || e.Error == "" {
		code := gatekeeper.CodeInternal
		if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
			code = gatekeeper.CodeUnavailable
		}
		return gatekeeper.Errorf(code, "%s answered %s, which is not a gatekeeper's answer; check the URL", resp.Request.URL.Host, resp.Status)
	}
	out := gatekeeper.Errorf(e.Error, "%s", e.Description)
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		out.RetryAfter = time.Duration(seconds) * time.Second
	}
	if e.Error == gatekeeper.CodeInternal {
		out.Description += " (request_id " + e.RequestID + ")"
	}
	return out
}

package slack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"
)

const (
	callTimeout = 10 * time.Second // one call of the Web API, from dial to body
	// most is what a response may have. The largest we ask for is a page of 100
	// messages of at most 16 KiB of blocks each.
	most = 8 << 20
)

// newClient makes an API client that never follows a redirect: the token is
// in the body of each call, and net/http repeats a body at a 307's target.
func newClient(o Options) *slackgo.Client {
	client := http.Client{Timeout: callTimeout}
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	if client.Transport == nil {
		client.Transport = o.Transport
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = bounded{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return slackgo.New(o.BotToken, slackgo.OptionAppLevelToken(o.AppToken), slackgo.OptionAPIURL(o.APIURL), slackgo.OptionHTTPClient(&client))
}

// bounded cuts responses: the SDK decodes whatever arrives.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, most), resp.Body}
	}
	return resp, err
}

// safeURL says whether secrets may be sent to u: https, or http on loopback.
func safeURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// scrub takes our secrets out of a text, whatever a proxy or a library put
// there.
func (o Options) scrub(text string) string {
	for _, secret := range []string{o.BotToken, o.SigningSecret, o.AppToken} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[secret]")
			text = strings.ReplaceAll(text, url.QueryEscape(secret), "[secret]")
		}
	}
	return text
}

// scrubbed is err without our secrets and without a chain that leads to them.
func (o Options) scrubbed(err error) error { return errors.New(o.scrub(err.Error())) }

// identity is whose bot we are. A token's workspace and bot never change, so
// the first answer is kept; failures are not.
type identity struct {
	api        *slackgo.Client
	configured string

	mu    sync.Mutex
	known *slackgo.AuthTestResponse
}

func (i *identity) ask(ctx context.Context) (*slackgo.AuthTestResponse, error) {
	answer, err := i.api.AuthTestContext(ctx)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known = answer
	return answer, nil
}

// seen is the last answer, nil before the first.
func (i *identity) seen() *slackgo.AuthTestResponse {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known
}

// team is whose members may decide: the configured one, else the token's.
func (i *identity) team(ctx context.Context) (string, error) {
	if i.configured != "" {
		return i.configured, nil
	}
	answer := i.seen()
	if answer == nil {
		var err error
		if answer, err = i.ask(ctx); err != nil {
			return "", err
		}
	}
	if answer.TeamID == "" {
		return "", errors.New("auth.test names no team")
	}
	return answer.TeamID, nil
}

// Package ask puts one question to a cloud over HTTP and tells apart what may
// be repeated, what was refused, what never left and what was lost. The
// exchangers of clouds whose SDK would bring more than their one or two calls
// are built on it.
package ask

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// The bounds of one question (threats row 39).
const (
	maxTries  = 3
	maxAnswer = 1 << 20
	maxWait   = 3 * time.Second
	callTime  = 10 * time.Second
)

// Options of a Client; the zero value is a working one.
type Options struct {
	Transport http.RoundTripper
	Wait      func(context.Context, time.Duration) error // between tries; nil: by the clock
}

// Client asks. It follows no redirect: what is sent holds a token, and the
// answer another.
type Client struct {
	http *http.Client
	wait func(context.Context, time.Duration) error
}

// New makes a Client.
func New(o Options) *Client {
	if o.Wait == nil {
		o.Wait = pause
	}
	if o.Transport == nil {
		o.Transport = Transport()
	}
	return &Client{wait: o.Wait, http: &http.Client{Transport: o.Transport, Timeout: callTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Transport is a Client's own. It keeps no connection: one that the cloud
// closed while it was idle would make an answer count as lost, and exchanges
// are too rare to keep one.
func Transport() http.RoundTripper {
	own := http.DefaultTransport.(*http.Transport).Clone()
	own.DisableKeepAlives = true
	return own
}

// Call is one question. Form or JSON is its body.
type Call struct {
	Cloud  string // as people call it: "Google's STS"
	Method string // "": POST
	URL    string
	Header map[string]string
	Form   url.Values
	JSON   any
	// Secrets are in the question; an answer that repeats a part of one is not
	// told (threats row 40).
	Secrets []string
	// Repeatable: asking twice is as good as asking once, and issues nothing,
	// so a lost answer is CodeUnavailable.
	Repeatable bool
	// Refusal reads the cloud's error; nil: its status says it all.
	Refusal func(body []byte) Refusal
	// Refused learns the status of each refusal; nil: nobody asks.
	Refused func(status int)
}

// Refusal is a cloud's own error.
type Refusal struct {
	Code    string
	Message string
	Hint    string // what the platform team can check
	Again   bool   // the cloud says that it may go well later
}

// Do asks, and reads the answer into into (nil: no answer is wanted). Its
// errors are coded: CodeExchangeFailed for a refusal, CodeUnavailable where
// nothing was sent, CodeExchangeUnknown where the answer was lost.
func (c *Client) Do(ctx context.Context, call Call, into any) error {
	for try := 1; ; try++ {
		a, err := c.send(ctx, call)
		if err != nil {
			return call.coded(Lost(err, call.Cloud))
		}
		if a.status/100 == 2 {
			return call.coded(call.read(a, into))
		}
		refused, again := call.refused(a)
		if !again || try == maxTries || c.wait(ctx, a.delay(try)) != nil {
			return call.coded(call.passing(refused, again))
		}
	}
}

// passing marks a refusal that may pass, once all tries met it: the job may
// try again by itself later, and what issues nothing may be asked at any time.
func (c Call) passing(err error, again bool) error {
	var coded *gatekeeper.Error
	if !again || !errors.As(err, &coded) || coded.Code != gatekeeper.CodeExchangeFailed {
		return err
	}
	coded.RetryAfter = max(coded.RetryAfter, laterAgain)
	if c.Repeatable {
		coded.Code = gatekeeper.CodeUnavailable
	}
	return coded
}

// laterAgain is when a cloud that throttled or failed is asked again.
const laterAgain = 2 * time.Second

// coded makes what is unknown of a repeatable call what it is: nothing.
func (c Call) coded(err error) error {
	if c.Repeatable && gatekeeper.CodeOf(err) == gatekeeper.CodeExchangeUnknown {
		var coded *gatekeeper.Error
		errors.As(err, &coded)
		return gatekeeper.Errorf(gatekeeper.CodeUnavailable, "%s; try again", coded.Description)
	}
	return err
}

type answer struct {
	status int
	after  time.Duration // Retry-After
	body   []byte
}

func (c *Client) send(ctx context.Context, call Call) (answer, error) {
	req, err := call.request(ctx)
	if err != nil {
		return answer{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		a.after = time.Duration(seconds) * time.Second
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if a.status/100 != 2 {
		err = nil // a refusal is one without its words, too
	}
	return a, err
}

func (c Call) request(ctx context.Context) (*http.Request, error) {
	method, body, kind := c.Method, []byte(nil), ""
	if method == "" {
		method = http.MethodPost
	}
	switch {
	case c.Form != nil:
		body, kind = []byte(c.Form.Encode()), "application/x-www-form-urlencoded"
	case c.JSON != nil:
		var err error
		if body, err = json.Marshal(c.JSON); err != nil {
			return nil, err
		}
		kind = "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range c.Header {
		req.Header.Set(name, value)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}

func (c Call) read(a answer, into any) error {
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		// The cause would show a part of the answer.
		return gatekeeper.Errorf(gatekeeper.CodeExchangeUnknown, "the answer of %s cannot be read", c.Cloud)
	}
	return nil
}

// delay is what the cloud asks for, or a growing one.
func (a answer) delay(try int) time.Duration {
	if a.after > 0 {
		return a.after
	}
	return time.Duration(try) * 300 * time.Millisecond
}

// pause waits, unless it would be too long for what waits behind it.
func pause(ctx context.Context, d time.Duration) error {
	if until, ok := ctx.Deadline(); d > maxWait || ok && time.Until(until) < d {
		return errors.New("too long")
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

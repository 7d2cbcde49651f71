package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

// Webhook posts batches to an HTTPS endpoint, in the way that its vendor
// wants them.
type Webhook struct {
	URL    string
	Token  string // never logged
	Vendor string // splunk, datadog, elastic; "": any other
	Format string // of the records: jsonl, ocsf or cef
	Host   string // our own name, for vendors that ask
	HTTP   *http.Client
}

// VendorOf guesses the vendor from the endpoint's address.
func VendorOf(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
	case strings.Contains(u.Path, "/services/collector"):
		return "splunk"
	case strings.HasSuffix(u.Path, "/_bulk"):
		return "elastic"
	case strings.HasSuffix(u.Path, "/api/v2/logs") || strings.Contains(u.Hostname(), "datadoghq.") || strings.HasSuffix(u.Hostname(), ".ddog-gov.com"):
		return "datadog"
	}
	return ""
}

// Client is one that follows no redirect: the token is for one address.
func Client(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: rt, Timeout: sendTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// maxAnswer bounds what is read of an answer; Elastic's has a line for each
// record.
const maxAnswer = 1 << 20

// Send implements Out.
func (w Webhook) Send(ctx context.Context, batch []ledger.Record) error {
	body, kind, err := w.body(batch)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("User-Agent", "gatekeeper")
	w.authorize(req.Header)
	resp, err := w.HTTP.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(resp)
	}
	if w.Vendor == "elastic" {
		return bulkAnswer(answer)
	}
	return nil
}

// withoutURL drops the address, which may hold a secret in its query.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("%s: %w", strings.ToLower(u.Op), u.Err)
	}
	return err
}

// refusal tells the status alone: a receiver may echo what it was sent.
func refusal(resp *http.Response) error {
	e := gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the receiver answered %s", resp.Status)
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

package slackbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Delivery is one callback to the app, and what became of it.
type Delivery struct {
	Kind     string        `json:"kind"` // block_actions, view_submission, view_closed, slash_commands, event_callback
	Via      string        `json:"via"`  // http or socket
	URL      string        `json:"url,omitempty"`
	Header   http.Header   `json:"header,omitempty"`
	Body     string        `json:"body"` // exactly as sent
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"`     // real time
	Status   int           `json:"status"`   // HTTP; 0: none came in time; 200 for an acknowledgement by socket
	Response string        `json:"response"` // body of the acknowledgement
	Error    string        `json:"error"`    // empty: acknowledged in time
}

// Acked says whether the app took the callback.
func (d Delivery) Acked() bool { return d.Error == "" }

// Forge makes a callback other than Slack would. Over Socket Mode only
// Payload and Times make a difference: there is no signature.
type Forge struct {
	Unsigned  bool     `json:"unsigned"`  // neither signature nor timestamp
	Secret    string   `json:"secret"`    // signed with this one instead
	Signature string   `json:"signature"` // instead of the right one
	Age       Duration `json:"age"`       // signed so long ago; negative: in the future
	// Payload is merged over the payload or the command's form as by RFC 7396,
	// but an object over a list is merged into the list's first item:
	// {"actions":{"value":"req_other"},"team":{"id":"T0EVIL"}}.
	Payload map[string]any `json:"payload"`
	Times   int            `json:"times"` // sent as often, the same bytes; 0: once
}

// Sign is the value of X-Slack-Signature for a body
// (docs.slack.dev/authentication/verifying-requests-from-slack).
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("v0:" + timestamp + ":")) // a hash never fails
	_, _ = mac.Write(body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// outgoing is a callback before it is sent.
type outgoing struct {
	kind     string
	envelope string // Socket Mode's name for the kind
	url      string
	payload  map[string]any
	encode   func(map[string]any) (body []byte, contentType string)
	forge    *Forge
	header   http.Header
}

// asPayload is how interactions are sent: a form with JSON in it.
func asPayload(p map[string]any) ([]byte, string) {
	return []byte(url.Values{"payload": {string(compact(p))}}.Encode()), "application/x-www-form-urlencoded"
}

// asForm is how slash commands are sent.
func asForm(p map[string]any) ([]byte, string) {
	form := url.Values{}
	for k, v := range p {
		if s, ok := v.(string); ok {
			form.Set(k, s)
		}
	}
	return []byte(form.Encode()), "application/x-www-form-urlencoded"
}

// asJSON is how events are sent.
func asJSON(p map[string]any) ([]byte, string) { return compact(p), "application/json" }

func compact(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return []byte("{}") // only what came as JSON is in it
	}
	return bytes.TrimSpace(b.Bytes())
}

// merge is Forge.Payload's merge. It never changes base.
func merge(base any, patch map[string]any) any {
	if list, ok := base.([]any); ok && len(list) > 0 {
		return append([]any{merge(list[0], patch)}, list[1:]...)
	}
	old, _ := base.(map[string]any)
	out := map[string]any{}
	for k, v := range old {
		out[k] = v
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(out, k)
		case map[string]any:
			out[k] = merge(out[k], v)
		default:
			out[k] = v
		}
	}
	return out
}

// deliver sends a callback and waits for its acknowledgement, as long as
// Slack does. It must not hold w.mu.
func (w *Workspace) deliver(ctx context.Context, o outgoing) Delivery {
	f := Forge{}
	if o.forge != nil {
		f = *o.forge
	}
	if f.Payload != nil {
		if plain, ok := plainly(o.payload).(map[string]any); ok {
			o.payload, _ = merge(plain, f.Payload).(map[string]any)
		}
	}
	var d Delivery
	for range max(f.Times, 1) {
		if s := w.socketTurn(); s != nil {
			d = w.overSocket(ctx, s, o)
		} else {
			d = w.overHTTP(ctx, o, f)
		}
		w.mu.Lock()
		w.deliveries = append(w.deliveries, d)
		w.touch()
		w.mu.Unlock()
	}
	return d
}

// plainly is v as decoded from JSON, so that merge sees but two kinds of things.
func plainly(v any) any {
	var out any
	if err := json.Unmarshal(compact(v), &out); err != nil {
		return nil
	}
	return out
}

func (w *Workspace) overHTTP(ctx context.Context, o outgoing, f Forge) Delivery {
	body, contentType := o.encode(o.payload)
	w.mu.Lock()
	secret, now := w.o.SigningSecret, w.o.Clock()
	w.mu.Unlock()
	header := http.Header{"Content-Type": {contentType}, "User-Agent": {"Slackbot 1.0 (+https://api.slack.com/robots)"}, "Accept": {"*/*"}}
	for k, v := range o.header {
		header[k] = v
	}
	if f.Secret != "" {
		secret = f.Secret
	}
	if !f.Unsigned {
		stamp := strconv.FormatInt(now.Add(-time.Duration(f.Age)).Unix(), 10)
		signature := Sign(secret, stamp, body)
		if f.Signature != "" {
			signature = f.Signature
		}
		header.Set("X-Slack-Request-Timestamp", stamp)
		header.Set("X-Slack-Signature", signature)
	}
	return w.send(ctx, Delivery{Kind: o.kind, Via: "http", URL: o.url, Header: header, Body: string(body), At: now})
}

// Redeliver sends a delivery over HTTP again: the same bytes and headers, as
// somebody would who recorded it.
func (w *Workspace) Redeliver(ctx context.Context, d Delivery) Delivery {
	w.mu.Lock()
	d.At = w.o.Clock()
	w.mu.Unlock()
	d = w.send(ctx, d)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deliveries = append(w.deliveries, d)
	w.touch()
	return d
}

// Deliveries are all callbacks so far, in the order of their ends.
func (w *Workspace) Deliveries() []Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Delivery(nil), w.deliveries...)
}

// What a delivery's Error says when there was no HTTP status to tell of.
const (
	errNoURL   = "not configured"
	errTimeout = "operation_timeout"
	errFailed  = "dispatch_failed"
)

func (w *Workspace) send(ctx context.Context, d Delivery) Delivery {
	d.Status, d.Response, d.Error = 0, "", ""
	if d.URL == "" {
		d.Error = errNoURL
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, w.o.AckTimeout)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	start := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader([]byte(d.Body)))
	if err != nil {
		d.Error = errFailed
		return d
	}
	request.Header = d.Header.Clone()
	response, err := w.client.Do(request)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(response.Body, maxBody))
		_ = response.Body.Close()
	}
	d.Took = time.Since(start)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		d.Error = errTimeout
	case err != nil:
		d.Error = errFailed
	default:
		d.Status, d.Response = response.StatusCode, string(body)
		if d.Status < 200 || d.Status > 299 {
			d.Error = "http " + strconv.Itoa(d.Status)
		}
	}
	return d
}

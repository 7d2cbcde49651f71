package slackbox

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Call is one call of the Web API, or of a response_url (whose Method is
// "response_url"), as it arrived.
type Call struct {
	Method string         `json:"method"`
	Args   map[string]any `json:"args"` // without the token
	At     time.Time      `json:"at"`
	Status int            `json:"status"` // HTTP; 0: the connection was cut
	Error  string         `json:"error"`  // empty: ok
	Fault  bool           `json:"fault"`  // a fault answered, or cut the connection
}

func (w *Workspace) serveAPI(rw http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	a, bad := readArgs(r)
	token := bearer(r, a)
	delete(a, "token")
	w.mu.Lock()
	fault := w.takeFault(name)
	w.mu.Unlock()
	if !fault.wait(r.Context(), w.ctx) {
		panic(http.ErrAbortHandler)
	}
	call := Call{Method: name, Args: maps.Clone(a)}
	if fault.answers() && !fault.After {
		w.record(call, fault.status(), fault.Error, true)
		fault.answer(rw)
		return
	}
	w.mu.Lock()
	body, f := reply(nil), bad
	if f == nil {
		body, f = w.call(name, token, a)
	}
	scopes := strings.Join(w.o.Scopes, ",")
	w.mu.Unlock()
	if fault.answers() {
		w.record(call, fault.status(), fault.Error, true)
		fault.answer(rw)
		return
	}
	if f == nil {
		w.record(call, http.StatusOK, "", false)
	} else {
		w.record(call, f.httpStatus(), f.code, false)
	}
	rw.Header().Set("X-OAuth-Scopes", scopes)
	rw.Header().Set("X-Accepted-OAuth-Scopes", strings.Join(methods()[name].scopes, ","))
	answer(rw, body, f)
}

// bearer is the token of the header, else of a form.
func bearer(r *http.Request, a args) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	return a.str("token")
}

// call runs a method after everything that Slack checks for each of them. It
// needs w.mu.
func (w *Workspace) call(name, token string, a args) (reply, *failure) {
	m, known := methods()[name]
	switch {
	case !known:
		return nil, fails("unknown_method")
	case token == "":
		return nil, fails("not_authed")
	case token != w.o.BotToken && token != w.o.AppToken:
		return nil, fails("invalid_auth")
	case m.app != (token == w.o.AppToken):
		return nil, fails("not_allowed_token_type")
	case !m.app && !w.granted(m.scopes...):
		return nil, w.lacks(m.scopes[0])
	}
	if f := w.limited(name, rate.Limit(float64(m.tier)/60), m.tier); f != nil {
		return nil, f
	}
	return m.run(w, a)
}

// limited takes one turn of a limit, or says when there will be one.
func (w *Workspace) limited(key string, r rate.Limit, burst int) *failure {
	if w.o.NoRateLimits {
		return nil
	}
	l, ok := w.limits[key]
	if !ok {
		l = rate.NewLimiter(r, burst)
		w.limits[key] = l
	}
	now := w.o.Clock()
	turn := l.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	turn.CancelAt(now)
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	return &failure{code: "ratelimited", status: http.StatusTooManyRequests, retry: seconds}
}

// turn is a channel's own limit: one message a second, and short bursts.
func (w *Workspace) turn(channel string) *failure {
	return w.limited("channel "+channel, rate.Limit(1), w.o.Burst)
}

func (w *Workspace) record(c Call, status int, code string, fault bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.At, c.Status, c.Error, c.Fault = w.o.Clock(), status, code, fault
	w.calls = append(w.calls, c)
	w.touch()
}

// Calls are all calls so far, in order. Named methods select theirs.
func (w *Workspace) Calls(methods ...string) []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Call
	for _, c := range w.calls {
		if len(methods) == 0 || slices.Contains(methods, c.Method) {
			out = append(out, c)
		}
	}
	return out
}

func (f *failure) httpStatus() int {
	if f.status != 0 {
		return f.status
	}
	return http.StatusOK
}

// answer writes Slack's envelope.
func answer(rw http.ResponseWriter, body reply, f *failure) {
	out := reply{"ok": f == nil}
	maps.Copy(out, body)
	status := http.StatusOK
	if f != nil {
		status = f.httpStatus()
		out["error"] = f.code
		maps.Copy(out, f.more)
		if len(f.messages) > 0 {
			out["response_metadata"] = reply{"messages": f.messages}
			out["errors"] = trimmed(f.messages)
		}
		if f.retry != "" {
			rw.Header().Set("Retry-After", f.retry)
		}
	}
	writeJSON(rw, status, out)
}

// trimmed are the messages as Slack repeats them in "errors".
func trimmed(messages []string) []string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = strings.TrimPrefix(m, "[ERROR] ")
	}
	return out
}

func writeJSON(rw http.ResponseWriter, status int, body any) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.WriteHeader(status)
	encoder := json.NewEncoder(rw)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // the caller went away
}

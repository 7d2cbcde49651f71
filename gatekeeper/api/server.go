package api

import (
	"context"
	_ "embed"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

//go:embed openapi.yaml
var openapi []byte

// Gate is what the API needs of gatekeeper.Gate.
type Gate interface {
	Open(ctx context.Context, token string, ask gatekeeper.Ask) (r gatekeeper.Request, created bool, err error)
	Show(ctx context.Context, token, id string, wait gatekeeper.Wait) (gatekeeper.Request, error)
	Watch(ctx context.Context, token, id string, wait gatekeeper.Wait) (gatekeeper.Request, *gatekeeper.Watch, error)
	Redeem(ctx context.Context, token, id string, ask gatekeeper.RedeemAsk) (gatekeeper.Credential, error)
	Cancel(ctx context.Context, token, id string) (gatekeeper.Request, error)
}

// Options of the API's server. Gate and URL are needed. The http.Server that
// runs it has to set ReadHeaderTimeout, ReadTimeout and MaxHeaderBytes (a
// token in a header has up to 16 KiB), and leave WriteTimeout above maxWait.
type Options struct {
	Gate     Gate
	URL      string // public, without a slash at its end
	Logger   *slog.Logger
	Draining context.Context // ends when waiting calls shall be answered at once; nil: never
	// Attest makes the attestation of an approved request; nil: there are none.
	// artifacts are what its job says that it deploys.
	Attest func(ctx context.Context, r gatekeeper.Request, artifacts []string) ([]byte, error)
	// Parked counts the calls that wait beside net/http, whose Shutdown does not
	// know of them; it is done when all are answered. nil: none is parked.
	Parked *sync.WaitGroup
	// Observe is told of each answered call, for metrics.
	Observe func(route string, status int, d time.Duration)
}

// maxWait is the longest that a call waits for news.
const maxWait = time.Minute

// Handler serves the API's routes, and only those.
func Handler(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{Options: o, polls: newPolls(time.Now)}
	mux := http.NewServeMux()
	mux.Handle("/v1/requests", s.route("/v1/requests", methods{http.MethodPost: s.open}))
	mux.Handle("/v1/requests/{id}", s.route("/v1/requests/{id}", methods{http.MethodGet: s.show}))
	mux.Handle("/v1/requests/{id}/credentials", s.route("/v1/requests/{id}/credentials", methods{http.MethodPost: s.redeem}))
	mux.Handle("/v1/requests/{id}/cancel", s.route("/v1/requests/{id}/cancel", methods{http.MethodPost: s.cancel}))
	if o.Attest != nil {
		mux.Handle("/v1/requests/{id}/attestation", s.route("/v1/requests/{id}/attestation", methods{http.MethodGet: s.attestation}))
	}
	mux.Handle("/v1/", s.route("/v1/", nil))
	mux.Handle("/oauth2/token", s.around("/oauth2/token", s.token))
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", s.metadata)
	mux.HandleFunc("GET /openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(openapi)
	})
	return mux
}

type server struct {
	Options
	polls *polls
}

// methods are a route's handlers: each gives a status and a body, or an error.
type methods map[string]func(w http.ResponseWriter, r *http.Request, token string) (status int, body any, err error)

// route answers calls that carry a token in their header.
func (s *server) route(name string, m methods) http.Handler {
	return s.around(name, func(call *call, r *http.Request) {
		status, body, err := s.handle(call, r, m)
		if later, ok := body.(later); ok && err == nil {
			s.park(call, r, later)
			return
		}
		s.answer(call, r, status, body, err)
	})
}

func (s *server) answer(call *call, r *http.Request, status int, body any, err error) {
	if err != nil {
		s.fail(call, r, err)
		return
	}
	reply(call, status, body)
}

// around is the one way in and out of every call: the id for the log, what no
// answer may be without, and what went wrong.
func (s *server) around(name string, answer func(*call, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := &call{ResponseWriter: w, id: newCallID(), route: r.Method + " " + name, began: time.Now()}
		w.Header().Set("X-Request-Id", call.id)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer s.answered(call, r)
		answer(call, r)
	})
}

// answered ends a call, be it in a panic, unless it is parked and ends later.
func (s *server) answered(call *call, r *http.Request) {
	if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
		s.Logger.Error("a call panicked", "route", call.route, "call", call.id, "panic", p, "stack", string(debug.Stack()))
		s.fail(call, r, gatekeeper.Errorf(gatekeeper.CodeInternal, "internal error; the operator finds it by request_id"))
	}
	if s.Observe != nil && !call.parked {
		s.Observe(call.route, call.status, time.Since(call.began))
	}
}

func (s *server) handle(w http.ResponseWriter, r *http.Request, m methods) (int, any, error) {
	if m == nil {
		return 0, nil, gatekeeper.Errorf(gatekeeper.CodeNotFound, "there is nothing at %s; see /openapi.yaml", r.URL.Path)
	}
	handler, ok := m[r.Method]
	if !ok {
		for method := range m {
			w.Header().Set("Allow", method)
		}
		return 0, nil, errMethod
	}
	token, err := bearer(r)
	if err != nil {
		return 0, nil, err
	}
	return handler(w, r, token)
}

var errMethod = gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "this method is not for this path; see /openapi.yaml")

func (s *server) open(w http.ResponseWriter, r *http.Request, token string) (int, any, error) {
	var body OpenBody
	if err := decode(w, r, &body); err != nil {
		return 0, nil, err
	}
	opened, created, err := s.Gate.Open(r.Context(), token, gatekeeper.Ask{Environment: body.Environment, Credentials: body.Credentials, Reason: body.Reason})
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		w.Header().Set("Location", s.URL+"/v1/requests/"+opened.ID)
	}
	return s.shown(w, status, &opened, err)
}

func (s *server) show(w http.ResponseWriter, r *http.Request, token string) (int, any, error) {
	wait, err := waitOf(r)
	if err != nil {
		return 0, nil, err
	}
	got, watch, err := s.Gate.Watch(r.Context(), token, r.PathValue("id"), wait)
	if err != nil || watch == nil {
		return s.shown(w, http.StatusOK, &got, err)
	}
	return 0, later(func(ctx context.Context, w http.ResponseWriter) (int, any, error) {
		got, err := watch.Next(ctx)
		return s.shown(w, http.StatusOK, got, err)
	}), nil
}

// drained is a context that also ends when the server wants to stop: waiting
// calls are answered with what is so now, and the step asks again.
func (s *server) drained(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if s.Draining == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(s.Draining, cancel)
	return ctx, func() { stop(); cancel() }
}

func (s *server) redeem(w http.ResponseWriter, r *http.Request, token string) (int, any, error) {
	var body RedeemBody
	if err := decode(w, r, &body); err != nil {
		return 0, nil, err
	}
	credential, err := s.Gate.Redeem(r.Context(), token, r.PathValue("id"), gatekeeper.RedeemAsk{Name: body.Name, SubjectToken: body.SubjectToken})
	return http.StatusOK, credential, err
}

func (s *server) cancel(w http.ResponseWriter, r *http.Request, token string) (int, any, error) {
	got, err := s.Gate.Cancel(r.Context(), token, r.PathValue("id"))
	return s.shown(w, http.StatusOK, &got, err)
}

func (s *server) shown(w http.ResponseWriter, status int, r *gatekeeper.Request, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	w.Header().Set("ETag", etag(r.Version))
	return status, FromRequest(*r, s.URL), nil
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// waitOf reads ?wait=30s and If-None-Match, which says what the caller has
// seen already.
func waitOf(r *http.Request) (gatekeeper.Wait, error) {
	var wait gatekeeper.Wait
	q := r.URL.Query()
	for name := range q {
		if name != "wait" {
			return wait, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "there is no parameter %q; wait is one, such as wait=30s", name)
		}
	}
	if raw := q.Get("wait"); raw != "" {
		d, err := time.ParseDuration(raw)
		if err != nil || d < 0 || d > maxWait {
			return wait, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "wait=%q is none of 0s to 60s", raw)
		}
		wait.For = d
	}
	if tag := strings.Trim(r.Header.Get("If-None-Match"), `"`); tag != "" {
		seen, err := strconv.ParseInt(tag, 10, 64)
		if err != nil || seen < 0 {
			return wait, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "If-None-Match has to be the ETag of an earlier answer")
		}
		wait.Seen = seen
	}
	return wait, nil
}

// bearer is the only token of the only Authorization header.
func bearer(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 1 {
		scheme, token, ok := strings.Cut(headers[0], " ")
		if ok && strings.EqualFold(scheme, "Bearer") && token != "" {
			return token, nil
		}
	}
	return "", gatekeeper.Errorf(gatekeeper.CodeInvalidToken, "present the CI's OIDC token as `Authorization: Bearer …`, once")
}

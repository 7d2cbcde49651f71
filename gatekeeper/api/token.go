package api

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// grantTokenExchange is the one grant of the token endpoint (RFC 8693).
const grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// token is POST /oauth2/token, the API for clients that speak OAuth 2.0 token
// exchange (RFC 8693): one call opens the request, or finds it, and redeems
// one credential once people approved. Until then it answers as the device
// flow does (RFC 8628 section 3.5), and the client asks again.
func (s *server) token(w *call, r *http.Request) {
	w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1
	ask, err := s.tokenAsk(w, r)
	if err != nil {
		s.refuseToken(w, r, gatekeeper.Request{}, err)
		return
	}
	request, credential, err := s.exchange(r, ask)
	if err != nil {
		s.refuseToken(w, r, request, err)
		return
	}
	reply(w, http.StatusOK, tokenAnswer(request, credential, time.Now()))
}

// exchange opens or finds the request, and redeems it once it is approved.
func (s *server) exchange(r *http.Request, ask tokenAsk) (gatekeeper.Request, gatekeeper.Credential, error) {
	ctx, stop := s.drained(r.Context())
	defer stop()
	var none gatekeeper.Credential
	request, _, err := s.Gate.Open(ctx, ask.subject, gatekeeper.Ask{Environment: ask.environment, Credentials: ask.credentials, Reason: ask.reason})
	if err != nil {
		return request, none, err
	}
	spec, err := ask.choose(request)
	if err == nil && request.State == gatekeeper.Pending && ask.wait > 0 {
		request, err = s.Gate.Show(ctx, ask.subject, request.ID, gatekeeper.Wait{For: ask.wait})
	}
	if err == nil {
		err = s.decided(request, ask.wait > 0)
	}
	if err != nil {
		return request, none, err
	}
	// Redeeming is not cut short by the server's stop: it is a story to its end.
	credential, err := s.Gate.Redeem(r.Context(), ask.subject, request.ID, gatekeeper.RedeemAsk{Name: spec.Name, SubjectToken: ask.cloudToken})
	return request, credential, err
}

// decided says why a request gives nothing, nil once it was approved. A
// client that waited inside its call may ask again at once; one that did not
// has to leave pollEvery between its calls.
func (s *server) decided(r gatekeeper.Request, waited bool) error {
	switch r.State {
	case gatekeeper.Approved:
		return nil
	case gatekeeper.Pending:
		if !waited && s.polls.tooSoon(r.ID) {
			return &gatekeeper.Error{Code: gatekeeper.CodeSlowDown, RetryAfter: 2 * pollEvery, Description: "people have not decided yet; ask less often, or wait inside the call with `Prefer: wait=30`"}
		}
		return gatekeeper.Errorf(gatekeeper.CodePending, "people have not decided yet; ask again in %d seconds", int(pollEvery.Seconds()))
	case gatekeeper.Denied, gatekeeper.Revoked:
		why := "the request was " + string(r.State)
		if r.DenyReason != "" {
			why += ": " + r.DenyReason
		}
		return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "%s", why)
	}
	return gatekeeper.Errorf(gatekeeper.CodeExpired, "the request is %s", r.State)
}

// pollEvery is how often a client may ask (RFC 8628 section 3.2).
const pollEvery = 5 * time.Second

// polls remembers when each pending request was last asked for, to slow down
// clients that ask too often. It is a courtesy, not a limit that anything
// rests on: each replica keeps its own, and forgets.
type polls struct {
	mu    sync.Mutex
	now   func() time.Time
	last  map[string]time.Time
	swept time.Time
}

// maxPolls bounds what is remembered.
const maxPolls = 10_000

func newPolls(now func() time.Time) *polls { return &polls{now: now, last: map[string]time.Time{}} }

// tooSoon notes a call. A second of it is the network's.
func (p *polls) tooSoon(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	last, known := p.last[id]
	if len(p.last) >= maxPolls && now.Sub(p.swept) > pollEvery { // not at each call: that would be the flood's gain
		p.swept = now
		maps.DeleteFunc(p.last, func(_ string, at time.Time) bool { return now.Sub(at) > pollEvery })
	}
	if len(p.last) < maxPolls || known {
		p.last[id] = now
	}
	return known && now.Sub(last) < pollEvery-time.Second
}

// metadata is RFC 8414's, so that clients find the token endpoint by the
// gatekeeper's URL alone.
func (s *server) metadata(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{
		"issuer": s.URL, "token_endpoint": s.URL + "/oauth2/token", "jwks_uri": s.URL + "/.well-known/jwks.json",
		"grant_types_supported": []string{grantTokenExchange}, "response_types_supported": []string{},
		"token_endpoint_auth_methods_supported": []string{"none"}, "service_documentation": s.URL + "/openapi.yaml",
	})
}

// preferWait reads `Prefer: wait=30` (RFC 7240 section 4.3), in which a client
// says how long it is willing to wait for its answer.
func preferWait(r *http.Request) time.Duration {
	for _, header := range r.Header.Values("Prefer") {
		for _, preference := range strings.Split(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			seconds, err := strconv.Atoi(strings.Trim(value, `"`))
			if strings.EqualFold(name, "wait") && err == nil && seconds > 0 {
				return min(time.Duration(min(seconds, 3600))*time.Second, maxWait)
			}
		}
	}
	return 0
}

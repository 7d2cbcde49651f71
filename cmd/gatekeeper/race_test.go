package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

// lost is the balancer's own answer where a connection broke: it and both
// replicas are one process here, and on a machine that is slow its goroutines
// get no turn for longer than the servers' patience.
const lost = 599

// balanced is a balancer in front of replicas, which take turns.
func balanced(t *testing.T, replicas ...string) string {
	t.Helper()
	var turn atomic.Int64
	var to []*url.URL
	for _, r := range replicas {
		u, err := url.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, u)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { http.Error(w, err.Error(), lost) },
		Transport:    &http.Transport{MaxConnsPerHost: 100, MaxIdleConnsPerHost: 100}, // the others wait for their turn
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(to[int(turn.Add(1))%len(to)]) },
	})
	t.Cleanup(front.Close)
	return front.URL
}

// tally counts answers by status.
type tally struct {
	mu   sync.Mutex
	of   map[int]int
	says map[int]string
}

func (a *tally) add(status int, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of, a.says = map[int]int{}, map[int]string{}
	}
	a.of[status]++
	a.says[status] = body
}

// only wants no status but these, and few that are lost.
func (a *tally) only(t *testing.T, what string, statuses ...int) {
	t.Helper()
	t.Logf("%s: %v", what, a.of)
	if a.of[lost] <= 50 {
		statuses = append(statuses, lost)
	}
	for status := range maps.Keys(a.of) {
		if !slices.Contains(statuses, status) {
			t.Errorf("%s: %d answers of %d, such as %s", what, a.of[status], status, a.says[status])
		}
	}
}

// A thousand clicks of two people and then a thousand redemptions of one job,
// all at once through two replicas: each person counts once, one credential is
// handed out, and every answer is one of the contract's (threats row 31): 503
// where more comes in at once than is taken, or than Slack answers.
func TestThousandAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds; run without -short")
	}
	const many = 1000
	p := onPostgres(t, func(s *stage) {
		s.rules(strings.Replace(twoApprovers, "slack:S0RELEASE", "slack:U0BOB, slack:U0CAROL", 1))
	})
	_, other := p.second(t)
	front := balanced(t, p.cfg.URL, other)
	p.slack.SetCallbacks(front+"/webhook/slack/interactions", front+"/webhook/slack/commands", front+"/webhook/slack/events")
	token := func(audience string) string { return p.ci.Token(audience, runClaims(1)) }
	if status, body := callAt(t, front, http.MethodPost, "/v1/requests", token(p.cfg.URL), `{"environment":"production"}`); status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}
	m := p.askedFor(t, 1)
	b, _ := buttonOf(m, "Approve")
	p.slack.Fail(slackbox.Fault{Method: "chat.update", Times: -1, Status: http.StatusServiceUnavailable}) // the buttons stay
	var clicks tally
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			user := []string{"U0BOB", "U0CAROL"}[i%2]
			d, err := p.slack.Click(t.Context(), slackbox.Click{User: user, Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value})
			if err != nil {
				t.Error(err)
				return
			}
			clicks.add(d.Status, d.Error+d.Response)
		})
	}
	wg.Wait()
	clicks.only(t, "clicks", http.StatusOK, http.StatusServiceUnavailable, 0) // 0: not within Slack's three seconds
	until(t, "approved", func() bool {
		_, body := callAt(t, front, http.MethodGet, "/v1/requests/"+b.Value+"?wait=10s", token(p.cfg.URL), "")
		return strings.Contains(body, `"state":"approved"`)
	})
	p.slack.ClearFaults()

	var redemptions tally
	prepared := func() (redeem func()) {
		ours, theirs := token(p.cfg.URL), token("sts.amazonaws.com")
		return func() {
			redemptions.add(callAt(t, front, http.MethodPost, "/v1/requests/"+b.Value+"/credentials", ours,
				fmt.Sprintf(`{"name":"deploy","subject_token":%q}`, theirs)))
		}
	}
	var all []func()
	for range many {
		all = append(all, prepared()) // tokens are signed before, so that the calls come at once
	}
	for _, redeem := range all {
		wg.Go(redeem)
	}
	wg.Wait()
	until(t, "somebody redeemed", func() bool { prepared()(); return redemptions.of[http.StatusOK] > 0 }) // Slack may have been asked too often by then
	redemptions.only(t, "redemptions", http.StatusOK, http.StatusGone, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	until(t, "every click is looked at", func() bool {
		queue, err := p.svc.store.Queue(t.Context())
		return err == nil && !slices.ContainsFunc(queue, func(w store.Waiting) bool { return w.Kind == "slack.click" })
	})
	got := p.events(t, "vote.counted", "redemption.unknown", "request.approved", "redemption.succeeded")
	if got["vote.counted"] != 2 || got["request.approved"] != 1 || got["redemption.succeeded"] != 1 {
		t.Errorf("the ledger tells of %v", got)
	}
	// On a machine that is slow an answer of STS may come too late.
	if n := len(p.sts.Sessions()); redemptions.of[http.StatusOK] != 1 || n > 1+got["redemption.unknown"] {
		t.Errorf("%d credentials, %d sessions, %v", redemptions.of[http.StatusOK], n, got)
	}
	p.verified(t)
}

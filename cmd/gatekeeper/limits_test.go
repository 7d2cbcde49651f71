package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
)

// limited is a stage whose limits count by a clock that stands still until it
// is moved.
type limited struct {
	*played
	ahead *atomic.Int64
}

func playLimited(t *testing.T, change func(*config)) limited {
	t.Helper()
	var ahead atomic.Int64
	start := time.Now()
	p := play(t, func(s *stage) {
		s.cfg.ticks = func() time.Time { return start.Add(time.Duration(ahead.Load())) }
		change(&s.cfg)
	})
	return limited{p, &ahead}
}

// caller calls the API over connections of its own.
type caller struct {
	http  *http.Client
	url   string
	extra http.Header // of each call
}

func (p limited) from(address string) caller {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return caller{http: &http.Client{Transport: &http.Transport{DialContext: d.DialContext}}, url: p.cfg.URL, extra: http.Header{}}
}

type answered struct {
	status int
	after  time.Duration
	body   string
}

func (c caller) call(t *testing.T, method, path, token, body string) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range c.extra {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
	return answered{answer.StatusCode, time.Duration(seconds) * time.Second, string(got)}
}

// until calls until the answer is that status, at most so many times.
func (c caller) until(t *testing.T, status, most int, path, token string) answered {
	t.Helper()
	for range most {
		if got := c.call(t, http.MethodGet, path, token, ""); got.status == status {
			return got
		}
	}
	t.Fatalf("no %d in %d calls", status, most)
	return answered{}
}

// Who shows tokens that do not hold is slowed down before they are looked at,
// and is told the truth about when to come again. Nobody else is: neither
// another address, nor jobs that were served from that address before, nor
// signed callbacks.
func TestGuessingIsSlowed(t *testing.T) {
	p := playLimited(t, func(c *config) { c.Limits.FailuresPerAddress = 1 })
	good, here := p.ci.Token(p.cfg.URL, ciissuer.Defaults()), p.from("127.0.0.1")
	if got := here.call(t, http.MethodPost, "/v1/requests", good, `{"environment":"production"}`); got.status != http.StatusCreated {
		t.Fatal(got)
	}
	forged := p.forged()
	guess := func() answered { return here.call(t, http.MethodGet, "/v1/requests/req_x", forged, "") }
	stranger := p.ci.Token("https://elsewhere.test", ciissuer.Claims(map[string]any{"sub": "repo:acme/new:ref:refs/heads/main"}))
	refused := here.until(t, http.StatusTooManyRequests, 101, "/v1/requests/req_x", stranger)
	var e api.ErrorBody
	if err := json.Unmarshal([]byte(refused.body), &e); err != nil || e.Error != "slow_down" || e.RequestID == "" {
		t.Errorf("the refusal is %s", refused.body)
	}
	if got := here.call(t, http.MethodPost, "/v1/requests", good, `{"environment":"production"}`); got.status != http.StatusOK {
		t.Errorf("a job that was served before: %d %s", got.status, got.body)
	}
	if got := p.from(elsewhere).call(t, http.MethodGet, "/v1/requests/req_x", stranger, ""); got.status != http.StatusUnauthorized {
		t.Errorf("from another address: %d", got.status)
	}
	if got := here.call(t, http.MethodPost, "/webhook/slack/interactions", "", "payload=x"); got.status != http.StatusUnauthorized {
		t.Errorf("a callback, which is judged by its signature: %d", got.status)
	}
	p.ahead.Add(int64(refused.after))
	if got := here.call(t, http.MethodGet, "/v1/requests/req_x", stranger, ""); got.status != http.StatusUnauthorized {
		t.Errorf("after the %s that were told: %d %s", refused.after, got.status, got.body)
	}
	// A forger that claims to be that job has that job's bucket, and no more.
	here.until(t, http.StatusTooManyRequests, 101, "/v1/requests/req_x", stranger)
	for n := 0; guess().status != http.StatusTooManyRequests; n++ {
		if n > 100 {
			t.Fatal("a forged token of a known job is never slowed")
		}
	}
	if got := p.metricsOf(t); !strings.Contains(got, `gatekeeper_limited_total{limit="address"}`) || strings.Contains(got, `gatekeeper_limited_total{limit="address"} 0`) {
		t.Error("refusals are not counted")
	}
}

// A fleet behind one address, with tokens that hold, is no stranger: neither
// its calls nor its connections are that address's.
func TestFleetBehindOneAddress(t *testing.T) {
	t.Parallel() // it mostly waits
	p := playLimited(t, func(c *config) {
		c.Limits = limitsConfig{FailuresPerAddress: 1, Connections: 200, ConnectionsPerAddress: 8}
	})
	token, c := p.ci.Token(p.cfg.URL, ciissuer.Defaults()), p.from("127.0.0.1")
	var r api.Request
	if err := json.Unmarshal([]byte(c.call(t, http.MethodPost, "/v1/requests", token, `{"environment":"production"}`).body), &r); err != nil || r.ID == "" {
		t.Fatal(err)
	}
	for i := range 2100 { // a stranger has 2,000
		if got := c.call(t, http.MethodGet, "/v1/requests/"+r.ID, token, ""); got.status != http.StatusOK {
			t.Fatalf("call %d: %d %s", i, got.status, got.body)
		}
	}
	const steps = 60
	answers := make(chan int, steps)
	for i := range steps {
		go func() {
			answers <- p.from("127.0.0.1").call(t, http.MethodGet, "/v1/requests/"+r.ID+"?wait=60s", token, "").status
		}()
		for p.svc.store.Watchers() <= i { // as its fleet comes: those who wait are known
			if t.Context().Err() != nil {
				t.Fatalf("%d steps wait", p.svc.store.Watchers())
			}
			runtime.Gosched()
		}
	}
	if got := c.call(t, http.MethodPost, "/v1/requests/"+r.ID+"/cancel", token, ""); got.status != http.StatusOK {
		t.Fatal(got)
	}
	for range steps {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("a step that waited: %d", status)
		}
	}
}

// A repository that calls too often is no other repository's matter, and an
// issuer no other issuer's; nor is one that waits too much.
func TestRepositoriesAreLimited(t *testing.T) {
	p := playLimited(t, func(c *config) {
		c.Limits = limitsConfig{CallsPerRepository: 1, CallsPerIssuer: 2, ConnectionsPerRepository: 1}
	})
	c := p.from("127.0.0.1")
	loud := p.ci.Token(p.cfg.URL, ciissuer.Defaults())
	quiet := p.ci.Token(p.cfg.URL, ciissuer.Claims(map[string]any{"repository": "acme/other", "repository_id": "2", "sub": "repo:acme/other"}))
	refused := c.until(t, http.StatusTooManyRequests, 101, "/v1/requests/req_x", loud)
	if !strings.Contains(refused.body, "repository") {
		t.Error(refused.body)
	}
	if got := c.call(t, http.MethodGet, "/v1/requests/req_x", quiet, ""); got.status != http.StatusNotFound {
		t.Errorf("another repository: %d", got.status)
	}
	p.ahead.Add(int64(refused.after))
	if got := c.call(t, http.MethodGet, "/v1/requests/req_x", loud, ""); got.status != http.StatusNotFound {
		t.Errorf("after the %s that were told: %d", refused.after, got.status)
	}
	for i := range 200 {
		claims := map[string]any{"repository_id": fmt.Sprint(100 + i), "sub": "x"}
		if got := c.call(t, http.MethodGet, "/v1/requests/req_x", p.ci.Token(p.cfg.URL, ciissuer.Claims(claims)), ""); got.status == http.StatusTooManyRequests {
			if !strings.Contains(got.body, "CI system") {
				t.Error(got.body)
			}
			break
		} else if i == 199 {
			t.Error("an issuer is never slowed")
		}
	}
	p.ahead.Add(int64(200 * time.Second))
	_, body := p.call(t, http.MethodPost, "/v1/requests", loud, `{"environment":"production"}`)
	var r api.Request
	if err := json.Unmarshal([]byte(body), &r); err != nil || r.ID == "" {
		t.Fatal(body)
	}
	go func() { _, _ = p.from("127.0.0.1").http.Do(p.waitCall(t, r.ID, loud)) }()
	for p.svc.store.Watchers() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("no step waits")
		}
		runtime.Gosched()
	}
	if got := c.call(t, http.MethodGet, "/v1/requests/"+r.ID, loud, ""); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "wait") {
		t.Errorf("one more call at once: %d %s", got.status, got.body)
	}
	if got := c.call(t, http.MethodGet, "/v1/requests/req_x", quiet, ""); got.status != http.StatusNotFound {
		t.Errorf("another repository's: %d", got.status)
	}
}

func (p limited) waitCall(t *testing.T, id, token string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.cfg.URL+"/v1/requests/"+id+"?wait=60s", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// Behind a trusted proxy each client is counted for itself; who is no trusted
// proxy cannot pass for somebody else.
func TestClientsBehindAProxy(t *testing.T) {
	p := playLimited(t, func(c *config) {
		c.Limits.FailuresPerAddress = 1
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}
	})
	bad := p.ci.Token("https://elsewhere.test", ciissuer.Defaults())
	behind := func(proxy, client string) caller {
		c := p.from(proxy)
		c.extra.Set("X-Forwarded-For", client)
		return c
	}
	behind("127.0.0.3", "198.51.100.1, 203.0.113.9").until(t, http.StatusTooManyRequests, 101, "/v1/requests/req_x", bad)
	for name, c := range map[string]struct {
		caller
		want int
	}{
		"the same":            {behind("127.0.0.3", "203.0.113.9"), http.StatusTooManyRequests},
		"with another story":  {behind("127.0.0.3", "198.51.100.7, 203.0.113.9"), http.StatusTooManyRequests},
		"another client":      {behind("127.0.0.3", "203.0.113.10"), http.StatusUnauthorized},
		"the proxy itself":    {p.from("127.0.0.3"), http.StatusUnauthorized},
		"spoofed by somebody": {behind("127.0.0.4", "203.0.113.9"), http.StatusUnauthorized},
	} {
		if got := c.call(t, http.MethodGet, "/v1/requests/req_x", bad, ""); got.status != c.want {
			t.Errorf("%s: %d, want %d", name, got.status, c.want)
		}
	}
	spoofer := 0
	for i := range 101 {
		if behind("127.0.0.4", fmt.Sprintf("203.0.113.%d", i)).call(t, http.MethodGet, "/v1/requests/req_x", bad, "").status == http.StatusTooManyRequests {
			spoofer = i
			break
		}
	}
	if spoofer == 0 {
		t.Error("whoever spoofs the header is never slowed")
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
)

// The whole way: a step asks, Bob approves in Slack, the step has a session,
// and the ledger tells the story. Threats row 40: no secret is in the log, in
// the database or in the ledger.
func TestApprove(t *testing.T) {
	p := play(t, nil)
	done := p.step(t, nil, "--output", "json", "--reason", "Release 1.2")
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	var out struct {
		Request     api.Request             `json:"request"`
		Credentials []gatekeeper.Credential `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
		t.Fatalf("stdout is no JSON object: %v\n%s", err, got.stdout)
	}
	if out.Request.State != "approved" || len(out.Request.Approval.ApprovedBy) != 1 || out.Request.Approval.ApprovedBy[0].Slack != "U0BOB" {
		t.Errorf("request: %+v", out.Request)
	}
	if len(out.Credentials) != 1 || out.Credentials[0].AWS == nil || out.Credentials[0].AWS.SessionToken == "" {
		t.Fatalf("%d credentials", len(out.Credentials))
	}
	p.noSecrets(t, out.Credentials[0].AWS.SecretAccessKey, out.Credentials[0].AWS.SessionToken, slackbox.BotToken, slackbox.SigningSecret)
	p.verified(t)
	if err := p.slack.Wait(t.Context(), func() bool {
		m := p.slack.Messages("C0DEPLOYS")
		_, open := buttonOf(m[0], "Approve")
		return !open && len(m) == 2
	}); err != nil {
		t.Fatal(err)
	}
	// One message about the request, and in its thread what became of it.
	m := p.slack.Messages("C0DEPLOYS")
	if m[0].ThreadTS != "" || m[1].ThreadTS != m[0].TS || !strings.Contains(m[1].Text, "Credentials taken: deploy") {
		t.Errorf("the thread says %q", m[1].Text)
	}
	p.direct(t, "U0ALICE", "Approved")
}

// direct waits for a direct message to somebody.
func (p *played) direct(t *testing.T, user, says string) slackbox.Message {
	t.Helper()
	var found slackbox.Message
	if err := p.slack.Wait(t.Context(), func() bool {
		for _, m := range p.slack.Direct(user) {
			if strings.Contains(m.Text, says) {
				found = m
				return true
			}
		}
		return false
	}); err != nil {
		t.Fatalf("%s was not told %q: %v", user, says, err)
	}
	return found
}

// noSecrets greps all that the service wrote.
func (p *played) noSecrets(t *testing.T, secrets ...string) {
	t.Helper()
	texts := map[string]string{"log": p.log.String()}
	files, _ := filepath.Glob(filepath.Join(p.dir, "gatekeeper.db*"))
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(f)] = string(body)
	}
	for where, text := range texts {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s holds a secret", where)
			}
		}
		if strings.Contains(text, "eyJhbGciOi") {
			t.Errorf("%s holds a token", where)
		}
	}
}

// configFile writes the stage's configuration for commands that read it.
func (s *stage) configFile(t testing.TB) (path string, env map[string]string) {
	t.Helper()
	return s.configFileOn(t, "gatekeeper.yaml", s.ears.Addr().String(), s.doors.Addr().String()), slackEnv()
}

// configFileOn is for one more replica, on ports of its own.
func (s *stage) configFileOn(t testing.TB, name, listen, admin string) (path string) {
	t.Helper()
	path = filepath.Join(s.dir, name)
	body := strings.Replace(s.yaml(listen, admin), "url: http://"+listen, "url: "+s.cfg.URL, 1)
	database := s.cfg.Database
	if !store.Postgres(database) {
		database = "sqlite:" + database
	}
	body = strings.Replace(body, "database: sqlite:gatekeeper.db", "database: "+database, 1)
	if s.cfg.Pending != defaultPending {
		body += fmt.Sprintf("limits: {pending_per_repository: %d}\n", s.cfg.Pending)
	}
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// slackEnv is what the configuration takes from the environment.
func slackEnv() map[string]string {
	return map[string]string{"SLACK_BOT_TOKEN": slackbox.BotToken, "SLACK_SIGNING_SECRET": slackbox.SigningSecret}
}

// verified runs `audit verify` beside the running service.
func (s *stage) verified(t testing.TB) string {
	t.Helper()
	path, env := s.configFile(t)
	got := command(t.Context(), env, "audit", "verify", "--config", path)
	if got.code != 0 || !strings.HasPrefix(got.stdout, "verified: ") {
		t.Fatalf("audit verify: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	return got.stdout
}

func TestDeny(t *testing.T) {
	p := play(t, nil)
	done := p.step(t, nil)
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "deny"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 3 || !strings.Contains(got.stderr, "denied by Bob: Not on a Friday") {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if m := p.direct(t, "U0ALICE", "Denied"); !strings.Contains(m.Words(), "Not on a Friday") {
		t.Errorf("Alice is told %s", m.Words())
	}
	if n := len(p.sts.Sessions()); n != 0 {
		t.Errorf("%d sessions were issued for a denied request", n)
	}
}

// Exit codes of the contract that need no person.
func TestStepEnds(t *testing.T) {
	p := play(t, nil)
	for name, c := range map[string]struct {
		claims map[string]any
		args   []string
		code   int
		says   string
	}{
		"no rule":           {map[string]any{"repository_id": "999"}, nil, 5, "payments-production"},
		"other owner":       {map[string]any{"repository_owner": "evil", "repository_owner_id": "666"}, nil, 5, "owners"},
		"pull request":      {map[string]any{"event_name": "pull_request_target"}, nil, 5, "no pull request"},
		"other environment": {map[string]any{"environment": "staging"}, nil, 5, "staging"},
		"no environment":    {map[string]any{"environment": nil}, nil, 5, "environment: production"},
		"wrong audience":    {nil, []string{"--audience", "https://elsewhere"}, 5, "audience"},
		"nobody decides":    {nil, []string{"--timeout", "300ms"}, 4, "nobody decided"},
		"no credential":     {nil, []string{"--credentials", "admin"}, 5, "no credential"},
		"wrong output":      {nil, []string{"--output", "xml"}, 2, "--output"},
		"unknown flag":      {nil, []string{"--nope"}, 2, "nope"},
		"plain http":        {nil, []string{"--url", "http://gatekeeper.example.com"}, 2, "https"},
		"looks like ours":   {nil, []string{"--url", "http://127.evil.com"}, 2, "https"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := <-p.step(t, c.claims, c.args...); got.code != c.code || !strings.Contains(got.stderr, c.says) {
				t.Errorf("exit %d, want %d and %q\n%s", got.code, c.code, c.says, got.stderr)
			}
		})
	}
	if got := command(t.Context(), nil, "request", "--url", p.cfg.URL, "--environment", "production"); got.code != 2 || !strings.Contains(got.stderr, "id-token: write") {
		t.Errorf("without a token: exit %d\n%s", got.code, got.stderr)
	}
	p.verified(t)
}

// Cancelling the job cancels the request.
func TestCancelledJob(t *testing.T) {
	p := play(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	env := p.jobEnv(nil)
	done := make(chan outcomeOf, 1)
	go func() { done <- command(ctx, env, "request", "--environment", "production") }()
	m := p.asked(t)
	cancel()
	if got := <-done; got.code != 4 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	id := m.Metadata.EventPayload["request_id"].(string)
	if r, err := p.svc.gate.Lookup(t.Context(), id); err != nil || r.State != gatekeeper.Canceled {
		t.Fatalf("the request is %s, %v", r.State, err)
	}
}

// Clicks that do not count are answered privately with the reason, and leave
// the request as it is (threats rows 23 to 25).
func TestClicksThatDoNotCount(t *testing.T) {
	p := play(t, nil)
	done := p.step(t, nil)
	m := p.asked(t)
	for user, why := range map[string]string{"U0ALICE": "started this run", "U0EVE": "not among the approvers", "U0DAVE": "guest"} {
		if err := p.decide(t.Context(), m, user, "approve"); err != nil {
			t.Fatal(err)
		}
		p.told(t, user, why)
	}
	if err := p.decide(t.Context(), m, "U0CAROL", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	p.verified(t)
}

// A job that goes on with another commit, attempt or environment is served by
// no approval but its own (threats rows 30, 43), and the API tells nothing of
// another's request.
func TestAnotherWorkload(t *testing.T) {
	p := play(t, nil)
	done := p.step(t, nil)
	m := p.asked(t)
	id := m.Metadata.EventPayload["request_id"].(string)
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	<-done
	for name, change := range map[string]map[string]any{
		"commit": {"sha": "ffff"}, "attempt": {"run_attempt": "2"}, "run": {"run_id": "7002"}, "repository": {"repository_id": "8"}, "ref": {"ref": "refs/heads/x"},
	} {
		status, body := p.call(t, http.MethodPost, "/v1/requests/"+id+"/credentials", p.ci.Token(p.cfg.URL, ciissuer.Claims(change)), `{"name":"deploy"}`)
		if status != http.StatusNotFound {
			t.Errorf("another %s: %d %s", name, status, body)
		}
	}
}

// told waits until the person was answered privately with these words.
func (s *stage) told(t testing.TB, user, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var seen []string
	if _, err := s.slack.WaitMessage(ctx, func(m slackbox.Message) bool {
		if m.Ephemeral == user {
			seen = append(seen, m.Text)
		}
		return m.Ephemeral == user && strings.Contains(m.Words()+m.Text, why)
	}); err != nil {
		t.Fatalf("%s was not told %q but %q", user, why, seen)
	}
}

// call is one raw call of the API.
func (s *stage) call(t testing.TB, method, path, token, body string) (int, string) {
	t.Helper()
	return callAt(t, s.cfg.URL, method, path, token, body)
}

// callAt is one at a replica.
func callAt(t testing.TB, url, method, path, token, body string) (int, string) {
	t.Helper()
	resp, got := answerAt(t, url, method, path, token, body)
	return resp.StatusCode, got
}

// answerAt is a call's answer with its headers; its body is read.
func answerAt(t testing.TB, url, method, path, token, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

// Threats row 1: people take longer than a token lives. What is presented at
// redemption is a fresh one, and the one that opened is not kept.
func TestIdempotentOpenAndFreshTokens(t *testing.T) {
	p := play(t, nil)
	token := func() string { return p.ci.Token(p.cfg.URL, ciissuer.Defaults()) }
	status, first := p.call(t, http.MethodPost, "/v1/requests", token(), `{"environment":"production"}`)
	again, second := p.call(t, http.MethodPost, "/v1/requests", token(), `{"environment":"PRODUCTION"}`)
	if status != 201 || again != 200 {
		t.Fatalf("opened with %d, then %d\n%s\n%s", status, again, first, second)
	}
	var a, b api.Request
	_, _ = json.Unmarshal([]byte(first), &a), json.Unmarshal([]byte(second), &b)
	if a.ID == "" || a.ID != b.ID {
		t.Fatalf("two requests of one run: %s and %s", a.ID, b.ID)
	}
	if status, body := p.call(t, http.MethodPost, "/v1/requests/"+a.ID+"/credentials", token(), `{"name":"deploy"}`); status != 409 {
		t.Errorf("redeeming while pending: %d %s", status, body)
	}
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if status, body := p.call(t, http.MethodGet, "/v1/requests/"+a.ID+"?wait=30s", token(), ""); status != 200 || !strings.Contains(body, `"approved"`) {
		t.Fatalf("waiting: %d %s", status, body)
	}
	subject := p.ci.Token("sts.amazonaws.com", ciissuer.Defaults())
	other := p.ci.Token("sts.amazonaws.com", ciissuer.Claims(map[string]any{"run_id": "1"}))
	redeem := func(subject string) (int, string) {
		return p.call(t, http.MethodPost, "/v1/requests/"+a.ID+"/credentials", token(), fmt.Sprintf(`{"name":"deploy","subject_token":%q}`, subject))
	}
	for _, c := range []struct {
		what, subject string
		want          int
	}{{"no subject token", "", 400}, {"another run's", other, 401}, {"its own", subject, 200}, {"once more", p.ci.Token("sts.amazonaws.com", ciissuer.Defaults()), 410}} {
		if status, body := redeem(c.subject); status != c.want {
			t.Errorf("%s: %d, want %d\n%s", c.what, status, c.want, body)
		}
	}
}

// STS is asked again where it says so, its refusals are told by code, and the
// job may try again.
func TestExchangeFails(t *testing.T) {
	p := play(t, nil)
	p.sts.Fail(stsbox.Fault{Status: 400, Code: "AccessDenied"})
	done := p.step(t, nil)
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 1 || !strings.Contains(got.stderr, "AccessDenied") {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if got := <-p.step(t, nil); got.code != 0 {
		t.Fatalf("the second try: exit %d\n%s", got.code, got.stderr)
	}
	p.verified(t)
}

// A request opened while Slack is down is posted once when it is back.
func TestSlackDown(t *testing.T) {
	t.Parallel() // it mostly waits
	p := play(t, func(s *stage) { s.slack.Fail(slackbox.Fault{Method: "chat.postMessage", Times: 2, Status: 503}) })
	done := p.step(t, nil)
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if n := p.askedTimes(); n != 1 {
		t.Errorf("%d messages, want one", n)
	}
}

// Rules reload whole: a broken file keeps those in force and says so; what
// rules no longer allow is not redeemed (threats row 34).
func TestReload(t *testing.T) {
	p := play(t, nil)
	write := func(text string) {
		if err := os.WriteFile(p.cfg.Rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = p.svc.reload(t.Context(), true)
	}
	write("rules: [")
	if status, body := p.admin(t, "/readyz"); status != 200 || !strings.Contains(body, "faults") {
		t.Errorf("readyz: %d %s", status, body)
	}
	done := p.step(t, nil)
	m := p.asked(t)
	write(strings.Replace(stageRules, "refs/heads/main", "refs/heads/release", 1))
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	p.told(t, "U0BOB", "no longer allow")
	write(stageRules)
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	path, env := p.configFile(t)
	if got := command(t.Context(), env, "audit", "export", "--config", path); !strings.Contains(got.stdout, "rules.rejected") || !strings.Contains(got.stdout, "rules.loaded") {
		t.Errorf("the ledger does not tell of the rules:\n%s", got.stdout)
	}
}

func (s *stage) admin(t testing.TB, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + s.doors.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAdmin(t *testing.T) {
	p := play(t, nil)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": `"storage":"ok"`, "/metrics": "gatekeeper_rules 1"} {
		if status, body := p.admin(t, path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for path, want := range map[string]string{
		"/openapi.yaml": "openRequest", "/.well-known/openid-configuration": p.cfg.URL, "/.well-known/jwks.json": `"kid"`, "/requests/req_x": "Slack",
	} {
		if status, body := p.call(t, http.MethodGet, path, "x", ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// SIGTERM drains: a waiting step is answered at once, and asks the next
// gatekeeper.
func TestDrainAnswersWaiting(t *testing.T) {
	s := newStaged(t)
	_, stop, err := s.serve(t.Context(), newSilent())
	if err != nil {
		t.Fatal(err)
	}
	token := s.ci.Token(s.cfg.URL, ciissuer.Defaults())
	_, body := s.call(t, http.MethodPost, "/v1/requests", token, `{"environment":"production"}`)
	var r api.Request
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		status, _ := s.call(t, http.MethodGet, "/v1/requests/"+r.ID+"?wait=60s", token, "")
		answered <- status
	}()
	s.asked(t)
	began := time.Now()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != 200 || time.Since(began) > 10*time.Second {
		t.Errorf("answered %d after %s", status, time.Since(began))
	}
}

// Threats row 36: one repository cannot bury the others' requests.
func TestFlood(t *testing.T) {
	p := play(t, func(s *stage) { s.cfg.Pending = 2 })
	open := func(run string, more map[string]any) (int, string) {
		claims := map[string]any{"run_id": run}
		for name, value := range more {
			claims[name] = value
		}
		return p.call(t, http.MethodPost, "/v1/requests", p.ci.Token(p.cfg.URL, ciissuer.Claims(claims)), `{"environment":"production"}`)
	}
	for run, want := range []int{201, 201, 429} {
		if status, body := open(fmt.Sprint(run), nil); status != want {
			t.Errorf("request %d: %d, want %d\n%s", run, status, want, body)
		}
	}
	if status, body := open("0", nil); status != 200 {
		t.Errorf("asking again for the first: %d %s", status, body)
	}
}

// Bad input gets the contract's errors, whatever it is.
func TestBadInput(t *testing.T) {
	p := play(t, nil)
	good := p.ci.Token(p.cfg.URL, ciissuer.Defaults())
	for name, c := range map[string]struct {
		method, path, token, body string
		status                    int
		code                      string
	}{
		"no JSON":           {"POST", "/v1/requests", good, `{`, 400, "invalid_request"},
		"unknown field":     {"POST", "/v1/requests", good, `{"environment":"production","x":1}`, 400, "invalid_request"},
		"field twice":       {"POST", "/v1/requests", good, `{"environment":"production","environment":"qa"}`, 400, "invalid_request"},
		"something behind":  {"POST", "/v1/requests", good, `{"environment":"production"}{}`, 400, "invalid_request"},
		"wrong type":        {"POST", "/v1/requests", good, `{"environment":7}`, 400, "invalid_request"},
		"no environment":    {"POST", "/v1/requests", good, `{}`, 400, "invalid_request"},
		"control character": {"POST", "/v1/requests", good, `{"environment":"a\u0000b"}`, 400, "invalid_request"},
		"too large":         {"POST", "/v1/requests", good, `{"environment":"` + strings.Repeat("x", 70<<10) + `"}`, 400, "invalid_request"},
		"long reason":       {"POST", "/v1/requests", good, `{"environment":"production","reason":"` + strings.Repeat("x", 1001) + `"}`, 400, "invalid_request"},
		"no token":          {"POST", "/v1/requests", "", `{"environment":"production"}`, 401, "invalid_token"},
		"rubbish token":     {"POST", "/v1/requests", "x.y.z", `{"environment":"production"}`, 401, "invalid_token"},
		"unknown request":   {"GET", "/v1/requests/req_x", good, "", 404, "not_found"},
		"wait too long":     {"GET", "/v1/requests/req_x?wait=2h", good, "", 400, "invalid_request"},
		"unknown parameter": {"GET", "/v1/requests/req_x?waits=2s", good, "", 400, "invalid_request"},
		"wrong method":      {"DELETE", "/v1/requests/req_x", good, "", 405, "invalid_request"},
		"no such path":      {"GET", "/v1/nothing", good, "", 404, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := p.call(t, c.method, c.path, c.token, c.body)
			var e api.ErrorBody
			if err := json.Unmarshal([]byte(body), &e); err != nil || status != c.status || string(e.Error) != c.code || e.Description == "" || e.RequestID == "" {
				t.Errorf("%d %s; want %d %s", status, body, c.status, c.code)
			}
		})
	}
}

// A click reaches the waiting step: from Slack's callback to the end of the
// step's poll, a thousand other steps waiting.
func BenchmarkClickToUnblocked(b *testing.B) {
	const others = 1000
	p := play(b, func(s *stage) {
		s.cfg.Pending = 1 << 20
		// A user group would be looked up in Slack, which allows that 20 times a minute.
		if err := os.WriteFile(s.cfg.Rules, []byte(strings.Replace(stageRules, "S0RELEASE", "U0BOB", 1)), 0o600); err != nil {
			b.Fatal(err)
		}
	})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * others}}
	poll := func(ctx context.Context, run int, id string) {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.cfg.URL+"/v1/requests/"+id+"?wait=60s", nil)
		req.Header.Set("Authorization", "Bearer "+p.ci.Token(p.cfg.URL, runClaims(run)))
		if resp, err := client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	open := func(run int) string {
		_, body := p.call(b, http.MethodPost, "/v1/requests", p.ci.Token(p.cfg.URL, runClaims(run)), `{"environment":"production"}`)
		var r api.Request
		if err := json.Unmarshal([]byte(body), &r); err != nil || r.ID == "" {
			b.Fatal(body)
		}
		return r.ID
	}
	waiting, stop := context.WithCancel(b.Context())
	defer stop()
	for run := range others {
		go poll(waiting, run, open(run))
	}
	var took []time.Duration
	for run := others; b.Loop(); run++ {
		id := open(run)
		done := make(chan struct{})
		go func() { poll(b.Context(), run, id); close(done) }()
		began := time.Now()
		if _, err := p.svc.gate.Vote(b.Context(), id, gatekeeper.Vote{Person: gatekeeper.Person{Slack: "U0BOB", Team: "T0ACME"}, Choice: gatekeeper.Approve, Via: "bench"}); err != nil {
			b.Fatal(err)
		}
		<-done
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
}

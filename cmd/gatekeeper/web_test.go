package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/idpbox"
)

// company is a stage whose people can sign in with their company accounts, at
// a URL with a host name, which passkeys need.
type company struct {
	*played
	idp *idpbox.IdP
}

func open(t testing.TB, approval string) *company {
	t.Helper()
	c := &company{}
	c.played = play(t, func(s *stage) {
		s.cfg.URL = strings.Replace(s.cfg.URL, "127.0.0.1", "localhost", 1)
		s.cfg.Issuers[0].Audience = s.cfg.URL
		var err error
		c.idp, err = idpbox.New(s.cfg.URL+"/sign-in/callback",
			idpbox.User{Subject: "idp|alice", Name: "Alice", Email: "alice@acme.com"},
			idpbox.User{Subject: "idp|bob", Name: "Bob", Email: "bob@acme.com", ACR: "phr"},
			idpbox.User{Subject: "idp|carol", Name: "Carol", Email: "carol@acme.com", ACR: "pwd"},
			idpbox.User{Subject: "idp|mallory", Name: "Mallory", Email: "bob@acme.com", Unverified: true},
			idpbox.User{Subject: "idp|dave", Name: "Dave", Email: "dave@acme.com"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.idp.Close)
		s.cfg.SSO = &ssoConfig{Issuer: c.idp.URL(), ClientID: idpbox.ClientID, ClientSecret: idpbox.ClientSecret}
		for i, p := range s.cfg.People {
			s.cfg.People[i].Email = strings.ToLower(p.Name) + "@acme.com"
		}
		s.cfg.People = append(s.cfg.People, gatekeeper.PersonEntry{Name: "Dave", Slack: "U0DAVE", Email: "dave@acme.com"})
		stepUp(t, s, approval)
	})
	return c
}

// stepUp adds lines to the approval of the stage's rule.
func stepUp(t testing.TB, s *stage, approval string) {
	t.Helper()
	rules := strings.Replace(stageRules, "approvers: [slack:S0RELEASE]", "approvers: [slack:S0RELEASE]\n      "+approval, 1)
	if err := os.WriteFile(filepath.Join(s.dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
}

// visitor is a browser without scripts.
type visitor struct {
	t    testing.TB
	c    *company
	http *http.Client
}

func (c *company) visitor(t testing.TB) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, c, &http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

// as is a browser in which that person is signed in.
func (c *company) as(t testing.TB, name string) *visitor {
	t.Helper()
	v := c.visitor(t)
	c.idp.SignInAs("idp|" + name)
	if status, page := v.get("/sign-in/sso?next=/requests"); status != http.StatusOK || !strings.Contains(page, "Waiting for you") {
		t.Fatalf("%s cannot sign in: %d\n%s", name, status, page)
	}
	return v
}

func (v *visitor) get(path string) (int, string) {
	v.t.Helper()
	return v.do(http.MethodGet, path, nil, nil)
}

func (v *visitor) post(path string, form url.Values) (int, string) {
	v.t.Helper()
	return v.do(http.MethodPost, path, form, http.Header{"Sec-Fetch-Site": {"same-origin"}})
}

// away sends a form of another site's.
func (v *visitor) away(address string, form url.Values) (int, string) {
	v.t.Helper()
	return v.send(http.MethodPost, address, form, nil)
}

func (v *visitor) do(method, path string, form url.Values, header http.Header) (int, string) {
	v.t.Helper()
	return v.send(method, v.c.cfg.URL+path, form, header)
}

func (v *visitor) send(method, address string, form url.Values, header http.Header) (int, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestPagesWithoutSignIn(t *testing.T) {
	p := play(t, nil)
	answer, err := http.Get(p.cfg.URL + "/requests/req_1") //nolint:noctx // a person's browser
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), "Decide in Slack") {
		t.Errorf("%d, %v\n%s", answer.StatusCode, err, body)
	}
}

// Nothing is shown to a stranger, and the way back leads to us alone.
func TestPagesWantASignIn(t *testing.T) {
	c := open(t, "")
	v := c.visitor(t)
	for _, path := range []string{"/requests", "/requests/req_1", "/requests/req_1/confirm", "/insights", "/rules", "/passkeys"} {
		if status, page := v.get(path); status != http.StatusOK || !strings.Contains(page, "Sign in with your company account") || !strings.Contains(page, `data-next="`+path+`"`) {
			t.Errorf("%s: %d\n%s", path, status, page)
		}
	}
	for _, evil := range []string{"https://evil.io", "//evil.io", "/\\evil.io", "javascript:alert(1)", ""} {
		if _, page := v.get("/sign-in?next=" + url.QueryEscape(evil)); !strings.Contains(page, `data-next="/requests"`) {
			t.Errorf("next=%q leads elsewhere:\n%s", evil, page)
		}
	}
	if status, _ := v.post("/requests/req_1", url.Values{"choice": {"approve"}}); status != http.StatusUnauthorized {
		t.Errorf("a vote without a sign-in: %d", status)
	}
}

func TestSignInsThatDoNotHold(t *testing.T) {
	c := open(t, "")
	for name, k := range map[string]struct {
		who     string
		arrange func()
		status  int
		says    string
	}{
		"unverified address": {"idp|mallory", nil, 403, "not among the people"},
		"guest in Slack":     {"idp|dave", nil, 403, "not among the people"},
		"refuses":            {"idp|nobody", nil, 403, "did not go through"},
		"another nonce":      {"idp|bob", func() { c.idp.Change(func(m map[string]any) { m["nonce"] = "x" }) }, 403, "answers another sign-in"},
		"another audience":   {"idp|bob", func() { c.idp.Change(func(m map[string]any) { m["aud"] = "other" }) }, 403, "no ID token that holds"},
		"another issuer":     {"idp|bob", func() { c.idp.Change(func(m map[string]any) { m["iss"] = "https://evil.io" }) }, 403, "no ID token that holds"},
		"expired":            {"idp|bob", func() { c.idp.Change(func(m map[string]any) { m["exp"] = 1 }) }, 403, "no ID token that holds"},
	} {
		t.Run(name, func(t *testing.T) {
			c.idp.SignInAs(k.who)
			if k.arrange != nil {
				k.arrange()
				defer c.idp.Change(nil)
			}
			v := c.visitor(t)
			if status, page := v.get("/sign-in/sso"); status != k.status || !strings.Contains(page, k.says) {
				t.Errorf("%d, want %d and %q\n%s", status, k.status, k.says, page)
			}
			if _, page := v.get("/requests"); !strings.Contains(page, "Sign in with") {
				t.Error("they are in")
			}
		})
	}
	v := c.visitor(t)
	if status, page := v.get("/sign-in/callback?code=x&state=y"); status != http.StatusForbidden || !strings.Contains(page, "not begun in this browser") {
		t.Errorf("an answer that nobody asked for: %d\n%s", status, page)
	}
	c.verified(t)
}

// A provider that is down is said to be; when it is back, people come in.
func TestProviderDown(t *testing.T) {
	c := open(t, "")
	c.idp.Fail(http.StatusBadGateway)
	if status, page := c.visitor(t).get("/sign-in/sso"); status != http.StatusServiceUnavailable || !strings.Contains(page, "cannot be reached") {
		t.Errorf("%d\n%s", status, page)
	}
	c.idp.Fail(0)
	c.as(t, "bob")
}

// Threats row 25: a page is a door like any other. Alice started the run, Bob
// may decide; and no other site can vote in his browser.
func TestVoteOnThePage(t *testing.T) {
	c := open(t, "")
	done := c.step(t, nil, "--reason", "<b>Release</b> 1.2")
	id := c.asked(t).Metadata.EventPayload["request_id"].(string)
	alice, bob := c.as(t, "alice"), c.as(t, "bob")
	_, page := bob.get("/requests")
	mine, _, _ := strings.Cut(page, `id="history"`)
	if !strings.Contains(mine, id) {
		t.Errorf("Bob's inbox lacks it\n%s", page)
	}
	_, page = bob.get("/requests/" + id)
	for _, want := range []string{"acme/payments", "production", "refs/heads/main", "&lt;b&gt;Release&lt;/b&gt; 1.2", "request.opened", "localhost/ledger", ">Approve</button>", "Deny"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	form := url.Values{"choice": {"approve"}}
	if status, page := alice.post("/requests/"+id, form); status != http.StatusForbidden || !strings.Contains(page, "started this run") {
		t.Errorf("Alice: %d\n%s", status, page)
	}
	if status, _ := bob.do(http.MethodPost, "/requests/"+id, form, http.Header{"Sec-Fetch-Site": {"cross-site"}}); status != http.StatusForbidden {
		t.Errorf("another site's form: %d", status)
	}
	if status, page := bob.post("/requests/"+id, url.Values{"choice": {"deny"}}); status != http.StatusBadRequest || !strings.Contains(page, "say why") {
		t.Errorf("a denial without a reason: %d\n%s", status, page)
	}
	if status, page := bob.post("/requests/"+id, form); status != http.StatusOK || !strings.Contains(page, "approved") {
		t.Fatalf("Bob: %d\n%s", status, page)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if _, page := bob.get("/requests/" + id); !strings.Contains(page, "Revoke credentials</button>") {
		t.Error("what was handed out cannot be taken back on the page")
	}
	if status, page := bob.post("/requests/"+id, url.Values{"choice": {"revoke_credentials"}, "reason": {"leaked"}}); status != http.StatusOK || !strings.Contains(page, "credential") {
		t.Errorf("taking back: %d\n%s", status, page)
	}
	if types := c.events(t, "vote.counted"); types["vote.counted"] != 2 {
		t.Errorf("events %v", types)
	}
	for path, want := range map[string]string{"/requests?state=approved&repository=PAY": id, "/insights": "half decided within", "/rules": "payments-production"} {
		if status, page := bob.get(path); status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s lacks %q: %d\n%s", path, want, status, page)
		}
	}
	if _, page := bob.get("/requests?environment=staging"); !strings.Contains(page, "There is nothing like that") {
		t.Error("the filter lets others through")
	}
	c.verified(t)
	c.noSecrets(t, idpbox.ClientSecret)
}

// step_up: sso. A click in Slack and a click on the page do not count; a fresh
// sign-in of the same person does, of the class that the rule wants.
func TestStepUpBySSO(t *testing.T) {
	c := open(t, "step_up: sso\n      acr: phr")
	done := c.step(t, nil)
	m := c.asked(t)
	id := m.Metadata.EventPayload["request_id"].(string)
	bob, carol := c.as(t, "bob"), c.as(t, "carol")
	form := url.Values{"choice": {"approve"}}
	if err := c.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	c.told(t, "U0BOB", "confirm it with a fresh sign-in")
	if status, page := bob.post("/requests/"+id, form); status != http.StatusForbidden || !strings.Contains(page, "proof beyond the click") {
		t.Errorf("a click on the page: %d\n%s", status, page)
	}
	if _, page := bob.get("/requests/" + id + "/confirm"); !strings.Contains(page, "Sign in again and approve") {
		t.Errorf("the page to confirm on\n%s", page)
	}
	c.idp.SignInAs("idp|carol")
	if status, page := carol.post("/requests/"+id+"/confirm", form); status != http.StatusForbidden || !strings.Contains(page, "of class phr") {
		t.Errorf("a sign-in of another class: %d\n%s", status, page)
	}
	if status, page := bob.post("/requests/"+id+"/confirm", form); status != http.StatusForbidden || !strings.Contains(page, "of class phr") && !strings.Contains(page, "somebody else") {
		t.Errorf("Carol's sign-in in Bob's browser: %d\n%s", status, page)
	}
	c.idp.SignInAs("idp|bob")
	c.idp.Change(func(m map[string]any) { m["auth_time"] = time.Now().Add(-time.Hour).Unix() })
	if status, page := bob.post("/requests/"+id+"/confirm", form); status != http.StatusForbidden || !strings.Contains(page, "not a fresh one") {
		t.Errorf("an old sign-in: %d\n%s", status, page)
	}
	c.idp.Change(nil)
	if status, page := bob.post("/requests/"+id+"/confirm", form); status != http.StatusOK || !strings.Contains(page, "fresh sign-in") {
		t.Fatalf("a fresh sign-in: %d\n%s", status, page)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if told := c.verified(t); told == "" {
		t.Error("nothing was verified")
	}
}

package github_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// decided is a request of run 7001 that Bob decided.
func decided(state gatekeeper.State) gatekeeper.Request {
	choice := map[gatekeeper.State]gatekeeper.Choice{gatekeeper.Approved: gatekeeper.Approve, gatekeeper.Denied: gatekeeper.Deny, gatekeeper.Revoked: gatekeeper.Revoke}[state]
	r := gatekeeper.Request{
		ID: "req_1", State: state, Environment: "production", Deployment: &gatekeeper.Held{}, Rule: gatekeeper.Rule{Name: "payments-production"},
		Workload:  gatekeeper.Workload{IssuerType: "github", IssuerURL: "https://token.actions.githubusercontent.com", Repository: "acme/payments", RunID: "7001", RunAttempt: "1", SHA: sha},
		DecidedAt: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
	}
	if choice != "" {
		r.Votes = []gatekeeper.Vote{{Person: gatekeeper.Person{Slack: "U0BOB", Name: "Bob"}, Choice: choice}}
	}
	return r
}

func judge(t *testing.T, change func(*githubbox.Repository, *githubbox.Run), r gatekeeper.Request) (*githubbox.GitHub, *door, func() error) {
	t.Helper()
	box, client := waits(t, change)
	d := &door{memory: &memory{requests: []gatekeeper.Request{r}}}
	p, err := github.NewProtection(github.ProtectionOptions{Client: client, Gate: d, Memory: d.memory, PublicURL: "https://gatekeeper.example.com/"})
	if err != nil {
		t.Fatal(err)
	}
	return box, d, func() error {
		return p.Handlers()[gatekeeper.WorkVerdict](t.Context(), gatekeeper.Work{Kind: gatekeeper.WorkVerdict, Key: r.ID})
	}
}

func TestVerdicts(t *testing.T) {
	for state, want := range map[gatekeeper.State]githubbox.Report{
		gatekeeper.Approved:   {State: "approved", Comment: "Approved by Bob (rule payments-production)"},
		gatekeeper.Denied:     {State: "rejected", Comment: "Denied by Bob: “Not ＠here, ‹b›today”"},
		gatekeeper.Revoked:    {State: "rejected", Comment: "The approval was revoked by Bob: “Not ＠here, ‹b›today”"},
		gatekeeper.Expired:    {State: "rejected", Comment: "Expired: not enough people decided in time (rule payments-production)"},
		gatekeeper.Superseded: {State: "rejected", Comment: "Superseded: a newer run asks for the same environment"},
		gatekeeper.Canceled:   {State: "rejected", Comment: "Ended as canceled"},
		gatekeeper.Pending:    {},
	} {
		r := decided(state)
		if state != gatekeeper.Approved {
			r.DenyReason = "Not @here,\n<b>today"
		}
		box, _, tell := judge(t, nil, r)
		for range 2 { // the second time says nothing new
			if err := tell(); err != nil {
				t.Fatal(err)
			}
		}
		reports := box.Reports("acme/payments", 7001)
		if want.State == "" {
			if len(reports) != 0 {
				t.Errorf("%s: told %v", state, reports)
			}
			continue
		}
		want.Environment, want.Comment = "production", want.Comment+"\nhttps://gatekeeper.example.com/requests/req_1"
		if len(reports) != 1 || reports[0] != want {
			t.Errorf("%s: told %+v, want %+v", state, reports, want)
		}
	}
}

// An outcome reaches only the attempt and the environment that it is about,
// and only while somebody waits for it.
func TestVerdictsThatNobodyWaitsFor(t *testing.T) {
	for name, change := range map[string]func(*githubbox.Repository, *githubbox.Run){
		"a later attempt waits": func(_ *githubbox.Repository, r *githubbox.Run) { r.Attempt = 2 },
		"over":                  func(_ *githubbox.Repository, r *githubbox.Run) { r.Completed = true },
		"another environment":   func(_ *githubbox.Repository, r *githubbox.Run) { r.Waiting = []string{"staging"} },
		"nothing waits":         func(_ *githubbox.Repository, r *githubbox.Run) { r.Waiting = nil },
		"uninstalled":           func(repo *githubbox.Repository, _ *githubbox.Run) { repo.NotInstalled = true },
	} {
		box, _, tell := judge(t, change, decided(gatekeeper.Approved))
		if err := tell(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if reports := box.Reports("acme/payments", 7001); len(reports) != 0 {
			t.Errorf("%s: told %v", name, reports)
		}
	}
}

// GitHub takes ten reports: an approval that other rules keep waiting may be
// revoked and asked for again, and after ten nothing is sent.
func TestTenReports(t *testing.T) {
	box, d, tell := judge(t, func(repo *githubbox.Repository, _ *githubbox.Run) { repo.Environments["production"].OthersWait = true }, decided(gatekeeper.Approved))
	for i := range 14 {
		d.requests[0].ID = "req_1"
		d.requests[0].Rule.Name = strings.Repeat("x", i)
		d.notes["github.reports acme/payments/7001/production"] = forget(t, d)
		if err := tell(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(box.Reports("acme/payments", 7001)); n != 10 {
		t.Errorf("%d reports were taken", n)
	}
	if n := box.Calls("/repos/acme/payments/actions/runs/7001/deployment_protection_rule"); n != 10 {
		t.Errorf("%d were sent", n)
	}
}

// forget is the note of what was told, as after GitHub asked anew.
func forget(t *testing.T, d *door) []byte {
	t.Helper()
	if d.notes == nil {
		d.notes = map[string][]byte{}
	}
	old := d.notes["github.reports acme/payments/7001/production"]
	if old == nil {
		return nil
	}
	var n map[string]any
	if err := json.Unmarshal(old, &n); err != nil {
		t.Fatal(err)
	}
	delete(n, "state")
	body, _ := json.Marshal(n)
	return body
}

// A report whose answer is lost is not sent twice; one that GitHub does not
// take is tried again.
func TestVerdictWhileGitHubFails(t *testing.T) {
	const call = "POST /repos/{owner}/{repo}/actions/runs/{run}/deployment_protection_rule"
	for name, fault := range map[string]githubbox.Fault{
		"lost answer": {After: true}, "502": {Status: http.StatusBadGateway}, "cut": {}, "limit": {Status: http.StatusTooManyRequests, RetryAfter: time.Second},
	} {
		box, _, tell := judge(t, nil, decided(gatekeeper.Approved))
		box.FailNext(call, fault)
		if err := tell(); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
			t.Errorf("%s: %v, want it to be tried again", name, err)
		}
		if err := tell(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(box.Reports("acme/payments", 7001)); n != 1 {
			t.Errorf("%s: GitHub was told %d times", name, n)
		}
	}
}

func TestRefusalsAreTold(t *testing.T) {
	box, client := waits(t, nil)
	d := &door{memory: &memory{}}
	p, err := github.NewProtection(github.ProtectionOptions{Client: client, Gate: d, Memory: d.memory, PublicURL: "https://gatekeeper.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(gatekeeper.Refusal{Repository: "acme/payments", RunID: "7001", RunAttempt: "1", Environment: "production", Reason: strings.Repeat("no rule 😀 allows it ", 200)})
	if err := p.Handlers()[gatekeeper.WorkVerdict](t.Context(), gatekeeper.Work{Key: "deployment:x", Payload: body}); err != nil {
		t.Fatal(err)
	}
	reports := box.Reports("acme/payments", 7001)
	if len(reports) != 1 || reports[0].State != "rejected" || len(utf16.Encode([]rune(reports[0].Comment))) > 1024 || !strings.HasSuffix(reports[0].Comment, "…") {
		t.Errorf("told %+v", reports)
	}
}

// everywhere notes where requests go.
type everywhere struct{ hosts map[string]bool }

func (e everywhere) RoundTrip(r *http.Request) (*http.Response, error) {
	e.hosts[r.URL.Host] = true
	return http.DefaultTransport.RoundTrip(r)
}

// Threats row 42: the callback URL, which leads to loopback port 9 here, is
// followed by nothing; the outcome goes to the configured API all the same.
func TestCallbackURLIsNeverFollowed(t *testing.T) {
	box, _ := waits(t, nil)
	where := everywhere{map[string]bool{}}
	client, err := github.New(github.Options{APIURL: box.URL(), AppID: githubbox.AppID, PrivateKey: box.PrivateKey(), HTTP: where})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{memory: &memory{requests: []gatekeeper.Request{decided(gatekeeper.Approved)}}}
	p, err := github.NewProtection(github.ProtectionOptions{Client: client, Gate: d, Memory: d.memory, PublicURL: "https://gatekeeper.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	payload := `{"action":"requested","environment":"production","repository":{"full_name":"acme/payments"},` +
		`"deployment_callback_url":"http://127.0.0.1:9/repos/acme/payments/actions/runs/7001/deployment_protection_rule"}`
	if err := p.Subscription().Handle(t.Context(), github.Event{Payload: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Deployment(t.Context(), d.opened[0]); err != nil {
		t.Fatal(err)
	}
	if err := p.Handlers()[gatekeeper.WorkVerdict](t.Context(), gatekeeper.Work{Key: "req_1"}); err != nil {
		t.Fatal(err)
	}
	if n := len(box.Reports("acme/payments", 7001)); n != 1 {
		t.Errorf("GitHub was told %d times", n)
	}
	if len(where.hosts) != 1 || !where.hosts[strings.TrimSuffix(strings.TrimPrefix(box.URL(), "http://"), "/")] {
		t.Errorf("asked %v, want the configured API alone", where.hosts)
	}
}

// Enterprise Server has its API at a path, and people see it at the host.
func TestEnterpriseServer(t *testing.T) {
	box, _ := waits(t, nil)
	client, err := github.New(github.Options{APIURL: box.EnterpriseURL(), AppID: githubbox.AppID, PrivateKey: box.PrivateKey()})
	if err != nil {
		t.Fatal(err)
	}
	w, err := client.Deployment(t.Context(), production())
	if err != nil || w.RunURL != strings.TrimSuffix(box.URL(), "/")+"/acme/payments/actions/runs/7001/attempts/1" {
		t.Errorf("%s, %v", w.RunURL, err)
	}
	d := &door{memory: &memory{requests: []gatekeeper.Request{decided(gatekeeper.Approved)}}}
	p, err := github.NewProtection(github.ProtectionOptions{Client: client, Gate: d, Memory: d.memory, PublicURL: "https://gatekeeper.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Handlers()[gatekeeper.WorkVerdict](t.Context(), gatekeeper.Work{Key: "req_1"}); err != nil {
		t.Fatal(err)
	}
	if n := len(box.Reports("acme/payments", 7001)); n != 1 {
		t.Errorf("GitHub was told %d times", n)
	}
}

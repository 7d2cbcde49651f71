package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// The manifests themselves are in testdata/script/slack.txtar.
func TestManifest(t *testing.T) {
	body, err := Manifest(ManifestOptions{PublicURL: "https://gatekeeper.example.com/"})
	if err != nil || !strings.Contains(string(body), `"https://gatekeeper.example.com/webhook/slack/interactions"`) {
		t.Errorf("%s %v", body, err)
	}
	if body, err = Manifest(ManifestOptions{SocketMode: true}); err != nil || strings.Contains(string(body), "url") {
		t.Errorf("in Socket Mode Slack is told where to call: %s %v", body, err)
	}
	for _, bad := range []string{"", "http://gatekeeper.example.com", "gatekeeper"} {
		if _, err := Manifest(ManifestOptions{PublicURL: bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestCheck(t *testing.T) {
	b := newBench(t)
	id, err := b.Check(context.Background())
	if err != nil || id.Team != "T0ACME" || id.User != "U0GATE" || !slices.Equal(id.Missing, []string{"channels:history", "commands", "groups:history", "im:history", "im:write", "usergroups:read"}) {
		t.Errorf("%+v %v", id, err)
	}
	b.ws.fail("auth.test", fault{code: "invalid_auth"})
	if _, err := b.Check(context.Background()); err == nil || !strings.Contains(err.Error(), "install the app again") {
		t.Errorf("got %v", err)
	}
	other := newBench(t, func(o *Options) { o.Team = "T0OTHER" })
	if _, err := other.Check(context.Background()); err == nil || !strings.Contains(err.Error(), "T0OTHER") {
		t.Errorf("a token of another team passes: %v", err)
	}
}

func TestDrain(t *testing.T) {
	b := newBench(t)
	hold := make(chan struct{})
	b.behind(context.Background(), time.Minute, func(context.Context) { <-hold })
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Drain(gone); err == nil {
		t.Error("drained while work is under way")
	}
	close(hold)
	if err := b.Drain(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestTooManyFormsAtOnceAreRefused(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	hold := make(chan struct{})
	for range roomBehind {
		b.behind(context.Background(), time.Minute, func(context.Context) { <-hold })
	}
	w := httptest.NewRecorder()
	form := url.Values{"payload": {strings.Replace(strings.Replace(someClick, actionApprove, actionDeny, 1), `"type"`, `"trigger_id":"1.2","type"`, 1)}}
	b.Interactions().ServeHTTP(w, callback(b.now, testSecret, form.Encode()))
	close(hold)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", w.Code)
	}
}

// The bot token and the signing secret are canaries: whatever goes wrong, at
// a proxy that echoes what it is sent too, no log line and no error has them
// (threats rows 22 and 40).
func TestSecretsAreNeverTold(t *testing.T) {
	faults := []fault{{http: 500}, {http: 400}, {http: 307}, {cut: true}, {retry: "1"}, {code: "invalid_auth"}, {code: testToken}, {code: url.QueryEscape(testSecret)}}
	for _, f := range faults {
		b := newBench(t)
		b.gate.put(pending("req_1"))
		b.open("req_2")
		var said []error
		for _, method := range []string{"chat.postMessage", "chat.update", "auth.test", "users.info", "usergroups.users.list", "views.open", "chat.postEphemeral", "conversations.history"} {
			b.ws.fail(method, f, f, f)
		}
		said = append(said, b.deliver(context.Background(), gatekeeper.Work{Key: "req_1", Attempt: 1}))
		said = append(said, b.remember(context.Background(), gatekeeper.WorkMessage, "req_1", reference{Channel: "C0DEPLOYS", Posting: true}))
		said = append(said, b.deliver(context.Background(), gatekeeper.Work{Key: "req_1", Attempt: 2}))
		r := pending("req_2")
		r.Reason = "changed"
		b.gate.put(r)
		said = append(said, b.deliver(context.Background(), gatekeeper.Work{Key: "req_2", Attempt: 1}))
		_, err := b.Check(context.Background())
		_, lookup := b.gate.dir.Standing(context.Background(), gatekeeper.Person{Slack: "U0BOB"})
		_, group := b.gate.dir.Member(context.Background(), gatekeeper.Person{Slack: "U0BOB"}, "slack:S0RELEASE")
		said = append(said, err, lookup, group)
		b.press("U0BOB", actionDeny, "req_2")
		b.press("U0MALLORY", actionApprove, "req_2")
		b.settle(3)
		b.post(callback(b.now, "wrong", "payload="+testSecret))
		all := b.log.String() + fmt.Sprintf("%v %+v", said, said)
		for _, e := range said {
			for ; e != nil; e = errors.Unwrap(e) {
				all += e.Error()
			}
		}
		for _, secret := range []string{testToken, testSecret} {
			if strings.Contains(all, secret) || strings.Contains(all, url.QueryEscape(secret)) {
				t.Errorf("%+v: a secret is told: %s", f, all)
			}
		}
	}
}

// A redirect must not take the token to somebody else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var reached bool
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer evil.Close()
	slack := httptest.NewServer(http.RedirectHandler(evil.URL, http.StatusTemporaryRedirect))
	defer slack.Close()
	d, err := NewDirectory(Options{APIURL: slack.URL, BotToken: testToken, Team: "T0ACME"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Standing(context.Background(), gatekeeper.Person{Slack: "U0BOB"}); err == nil || reached {
		t.Errorf("followed: %t, %v", reached, err)
	}
}

// BenchmarkAcknowledge is a click from the first byte to Slack's 200, with
// storage that is instant: what is left is ours.
func BenchmarkAcknowledge(b *testing.B) {
	s := newBench(b)
	handler := s.Interactions()
	i := 0
	for b.Loop() {
		i++
		form := url.Values{"payload": {strings.Replace(someClick, "1772445700.000200", "1772445700."+strconv.Itoa(i%1000), 1)}}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, callback(s.now, testSecret, form.Encode()))
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}

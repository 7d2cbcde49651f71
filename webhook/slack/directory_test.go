package slack

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/webhook/internal/door"
	"github.com/google/go-cmp/cmp"
	slackgo "github.com/slack-go/slack"
)

func directory(t testing.TB, ws *workspace, team string) *Directory {
	t.Helper()
	d, err := NewDirectory(Options{APIURL: ws.URL, BotToken: testToken, Team: team})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Threats rows 23 and 24: one of each kind of person.
func TestStanding(t *testing.T) {
	ws := newWorkspace(t)
	d := directory(t, ws, "T0ACME")
	user := func(id string, with map[string]any) {
		u := map[string]any{"id": id, "team_id": "T0ACME", "name": "x", "real_name": "X"}
		for k, v := range with {
			u[k] = v
		}
		ws.users[id] = u
	}
	user("U1", nil)
	user("U2", map[string]any{"deleted": true})
	user("U3", map[string]any{"is_restricted": true})
	user("U4", map[string]any{"is_ultra_restricted": true, "is_restricted": true})
	user("U5", map[string]any{"is_bot": true})
	user("U6", map[string]any{"is_stranger": true})
	user("U7", map[string]any{"team_id": "T0OTHER"})
	user("U8", map[string]any{"is_app_user": true})
	user("U9", map[string]any{"is_invited_user": true})
	user("W1", map[string]any{"team_id": "T0HOME", "enterprise_user": map[string]any{"id": "W1", "enterprise_id": "E0ACME", "teams": []string{"T0HOME", "T0ACME"}}})
	user("W2", map[string]any{"team_id": "T0HOME", "enterprise_user": map[string]any{"id": "W2", "enterprise_id": "E0ACME", "teams": []string{"T0HOME"}}})
	for _, tc := range []struct {
		name string
		p    gatekeeper.Person
		want gatekeeper.Standing
	}{
		{"member", gatekeeper.Person{Slack: "U1", Team: "T0ACME"}, gatekeeper.Standing{Active: true, Name: "X"}},
		{"deactivated", gatekeeper.Person{Slack: "U2", Team: "T0ACME"}, gatekeeper.Standing{Name: "X"}},
		{"guest", gatekeeper.Person{Slack: "U3", Team: "T0ACME"}, gatekeeper.Standing{Active: true, Guest: true, Name: "X"}},
		{"single-channel guest", gatekeeper.Person{Slack: "U4", Team: "T0ACME"}, gatekeeper.Standing{Active: true, Guest: true, Name: "X"}},
		{"bot", gatekeeper.Person{Slack: "U5", Team: "T0ACME"}, gatekeeper.Standing{Active: true, Bot: true, Name: "X"}},
		{"stranger", gatekeeper.Person{Slack: "U6", Team: "T0ACME"}, gatekeeper.Standing{Active: true, Foreign: true, Name: "X"}},
		{"other workspace", gatekeeper.Person{Slack: "U7", Team: "T0ACME"}, gatekeeper.Standing{Active: true, Foreign: true, Name: "X"}},
		{"click from another workspace", gatekeeper.Person{Slack: "U1", Team: "T0OTHER"}, gatekeeper.Standing{Active: true, Foreign: true, Name: "X"}},
		{"person who authorised the app", gatekeeper.Person{Slack: "U8", Team: "T0ACME"}, gatekeeper.Standing{Active: true, Name: "X"}},
		{"invited, not yet here", gatekeeper.Person{Slack: "U9", Team: "T0ACME"}, gatekeeper.Standing{Name: "X"}},
		{"grid, also of our workspace", gatekeeper.Person{Slack: "W1", Team: "T0HOME"}, gatekeeper.Standing{Active: true, Name: "X"}},
		{"grid, of another workspace only", gatekeeper.Person{Slack: "W2", Team: "T0HOME"}, gatekeeper.Standing{Active: true, Foreign: true, Name: "X"}},
		{"unknown", gatekeeper.Person{Slack: "U0GONE", Team: "T0ACME"}, gatekeeper.Standing{}},
	} {
		got, err := d.Standing(context.Background(), tc.p)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", tc.name, err, diff)
		}
	}
	ws.fail("users.info", fault{code: "user_not_visible"})
	if got, err := d.Standing(context.Background(), gatekeeper.Person{Slack: "U1"}); err != nil || !got.Foreign || got.Active {
		t.Errorf("who is not visible is %+v, %v", got, err)
	}
}

// An organisation's id as slack.team takes everybody of the organisation.
func TestStandingInAnOrganisation(t *testing.T) {
	u := slackgo.User{TeamID: "T0HOME", Enterprise: slackgo.EnterpriseUser{EnterpriseID: "E0ACME", Teams: []string{"T0HOME"}}}
	if foreign(u, gatekeeper.Person{Team: "T0HOME"}, "E0ACME") || foreign(u, gatekeeper.Person{Team: "E0ACME"}, "E0ACME") {
		t.Error("somebody of the organisation is foreign")
	}
	if !foreign(u, gatekeeper.Person{Team: "T0OTHER"}, "E0ACME") || !foreign(u, gatekeeper.Person{}, "E0OTHER") || !foreign(u, gatekeeper.Person{}, "") {
		t.Error("somebody else is not")
	}
}

// Threats row 23: no answer, a wrong one, and an unclear one are errors.
func TestFailedLookUpsAreErrors(t *testing.T) {
	ws := newWorkspace(t)
	d := directory(t, ws, "T0ACME")
	bob := gatekeeper.Person{Slack: "U0BOB", Team: "T0ACME"}
	ws.users["U0LIAR"] = map[string]any{"id": "U0BOB", "team_id": "T0ACME"}
	for _, f := range []fault{{http: 500}, {cut: true}, {retry: "1"}, {code: "missing_scope"}, {code: "fatal_error"}} {
		ws.fail("users.info", f)
		if got, err := d.Standing(context.Background(), bob); err == nil || got != (gatekeeper.Standing{}) {
			t.Errorf("%+v: %+v, %v", f, got, err)
		}
		ws.fail("usergroups.users.list", f)
		if in, err := d.Member(context.Background(), bob, "slack:S0RELEASE"); err == nil || in {
			t.Errorf("%+v: member %t, %v", f, in, err)
		}
	}
	for _, id := range []string{"U0LIAR", "", "bob", "bob@acme.com", "U0BOB,U0EVE"} {
		if got, err := d.Standing(context.Background(), gatekeeper.Person{Slack: id}); err == nil || got.Active {
			t.Errorf("%q: %+v, %v", id, got, err)
		}
	}
}

func TestMember(t *testing.T) {
	ws := newWorkspace(t)
	d := directory(t, ws, "T0ACME")
	for _, tc := range []struct {
		person  string
		entry   gatekeeper.Approver
		in, bad bool
	}{
		{"U0BOB", "slack:U0BOB", true, false},
		{"U0BOB", "slack:U0BO", false, false},
		{"u0bob", "slack:U0BOB", false, false},
		{"", "slack:U", false, false},
		{"U0BOB", "slack:S0RELEASE", true, false},
		{"U0MALLORY", "slack:S0RELEASE", false, false},
		{"", "slack:S0RELEASE", false, false},
		{"U0BOB", "slack:S0GONE", false, false},
		{"U0BOB", "github:acme/release", false, true},
		{"U0BOB", "bob", false, true},
		{"U0BOB", "", false, true},
	} {
		in, err := d.Member(context.Background(), gatekeeper.Person{Slack: tc.person}, tc.entry)
		if in != tc.in || (err != nil) != tc.bad {
			t.Errorf("%s in %s: %t, %v", tc.person, tc.entry, in, err)
		}
	}
	ws.groups["S0RELEASE"] = nil
	if in, _ := d.Member(context.Background(), gatekeeper.Person{Slack: "U0BOB"}, "slack:S0RELEASE"); in {
		t.Error("who left the group is still a member: the look-up is not live")
	}
}

func TestTeamIsTheTokensOwnWhenNotConfigured(t *testing.T) {
	ws := newWorkspace(t)
	d := directory(t, ws, "")
	ws.fail("auth.test", fault{http: 500})
	if _, err := d.Standing(context.Background(), gatekeeper.Person{Slack: "U0BOB"}); err == nil {
		t.Error("without knowing our team everybody is ours")
	}
	for range 2 {
		if got, err := d.Standing(context.Background(), gatekeeper.Person{Slack: "U0BOB", Team: "T0OTHER"}); err != nil || !got.Foreign {
			t.Errorf("%+v %v", got, err)
		}
	}
	if n := ws.count("auth.test"); n != 2 {
		t.Errorf("auth.test asked %d times", n)
	}
}

// Look-ups of one moment share a call; a later one asks again.
func TestSimultaneousLookUpsShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		d, err := NewDirectory(Options{APIURL: "https://slack.test/api/", BotToken: "x", Team: "T0ACME", HTTPClient: &http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				calls.Add(1)
				<-release
				w := httptest.NewRecorder()
				_, _ = w.WriteString(`{"ok":true,"user":{"id":"U0BOB","team_id":"T0ACME"}}`)
				return w.Result(), nil
			}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		look := func() {
			if got, err := d.Standing(context.Background(), gatekeeper.Person{Slack: "U0BOB"}); err != nil || !got.Active {
				t.Errorf("%+v %v", got, err)
			}
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(look)
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls for 20 look-ups at once", n)
		}
		if look(); calls.Load() != 2 {
			t.Error("a later look-up took an old answer")
		}
	})
}

// A Slack that does not answer costs three seconds, and no one's vote counts.
func TestSlowLookUpIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := NewDirectory(Options{APIURL: "https://slack.test/api/", BotToken: "x", Team: "T0ACME", HTTPClient: &http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = d.Standing(context.Background(), gatekeeper.Person{Slack: "U0BOB"})
		if took := time.Since(began); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable || took > lookTime {
			t.Errorf("%v after %s", err, took)
		}
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := d.Member(gone, gatekeeper.Person{Slack: "U0BOB"}, "slack:S0RELEASE"); err == nil || errors.Is(err, door.ErrMethod) {
			t.Errorf("a caller that left got %v", err)
		}
		synctest.Wait()
		time.Sleep(lookTime) // the bubble's clock: lets the shared call end
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

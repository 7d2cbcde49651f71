package github_test

import (
	"net/http"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

func teams(t *testing.T) (*githubbox.GitHub, github.Teams) {
	t.Helper()
	box, client := start(t)
	box.Install("acme")
	box.Team("acme", "release-managers", map[string]string{"bob": "active", "carol": "pending", "dave-renamed": "active", "mallory": "active"})
	box.Account(githubbox.User{Login: "dave-renamed", ID: 14})
	box.Account(githubbox.User{Login: "erin", ID: 15})
	return box, github.Teams{Client: client, People: gatekeeper.People{
		{Name: "Bob", Slack: "U0BOB", GitHub: "bob"}, {Name: "Carol", Slack: "U0CAROL", GitHub: "carol"},
		{Name: "Dave", Slack: "U0DAVE", GitHub: "dave", GitHubID: "14"}, {Name: "Alice", Slack: "U0ALICE", GitHub: "alice"},
		{Name: "Erin", Slack: "U0ERIN", GitHub: "mallory", GitHubID: "15"}, {Name: "Gone", Slack: "U0GONE", GitHub: "bob", GitHubID: "999"},
		{Name: "NoGitHub", Slack: "U0NONE"}, {Name: "Twice", Slack: "U0TWICE", GitHub: "bob"}, {Name: "Twice", Slack: "U0TWICE", GitHub: "carol"},
	}}
}

// A team's members are those whom GitHub names right now, found through
// people by immutable ids where they are known (threats rows 2, 23, 24).
func TestTeamMembers(t *testing.T) {
	for person, want := range map[string]bool{
		"U0BOB":     true,
		"U0DAVE":    true,  // renamed since: the id tells
		"U0CAROL":   false, // invited, has not accepted
		"U0ALICE":   false,
		"U0ERIN":    false, // somebody else took erin's old login and is in the team
		"U0GONE":    false, // the id is nobody's any more
		"U0NONE":    false,
		"U0TWICE":   false, // ambiguous
		"U0UNKNOWN": false,
		"":          false,
	} {
		_, all := teams(t)
		got, err := all.Member(t.Context(), gatekeeper.Person{Slack: person}, "github:acme/release-managers")
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", person, got, err, want)
		}
	}
}

// A look-up that fails is an error and never a yes.
func TestTeamLookUpsThatFail(t *testing.T) {
	for name, arrange := range map[string]func(*githubbox.GitHub){
		"GitHub is down": func(b *githubbox.GitHub) { b.Fail(http.StatusBadGateway) },
		"rate limit":     func(b *githubbox.GitHub) { b.Limit(0) },
		"no permission":  func(b *githubbox.GitHub) { b.Change(func(a *githubbox.App) { delete(a.Permissions, "members") }) },
		"connection is cut": func(b *githubbox.GitHub) {
			b.FailNext("GET /orgs/{org}/teams/{slug}/memberships/{login}", githubbox.Fault{After: true})
			b.FailNext("GET /orgs/{org}/teams/{slug}/memberships/{login}", githubbox.Fault{After: true})
			b.FailNext("GET /orgs/{org}/teams/{slug}/memberships/{login}", githubbox.Fault{After: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			box, all := teams(t)
			arrange(box)
			if got, err := all.Member(t.Context(), gatekeeper.Person{Slack: "U0BOB"}, "github:acme/release-managers"); got || gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
				t.Errorf("%v, %v; want temporarily_unavailable", got, err)
			}
		})
	}
	_, all := teams(t)
	if got, err := all.Member(t.Context(), gatekeeper.Person{Slack: "U0BOB"}, "github:elsewhere/team"); got || err == nil {
		t.Errorf("an organisation without the App: %v, %v", got, err)
	}
	if got, err := all.Member(t.Context(), gatekeeper.Person{Slack: "U0BOB"}, "github:acme/../../x"); got || err == nil {
		t.Errorf("a team that is none: %v, %v", got, err)
	}
}

func TestTeamSize(t *testing.T) {
	_, all := teams(t)
	if n, err := all.TeamSize(t.Context(), "github:acme/release-managers"); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, team := range []gatekeeper.Approver{"github:acme/nobody", "github:elsewhere/team"} {
		if _, err := all.TeamSize(t.Context(), team); gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
			t.Errorf("%s: %v, want not_found", team, err)
		}
	}
}

package github

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// Teams knows who belongs to GitHub's teams right now. People are those of
// the configuration: a Slack account is somebody's GitHub account only where
// `people` says so.
type Teams struct {
	Client *Client
	People gatekeeper.People
}

// teamTime bounds one look at a person, all calls together: a click is tried
// again rather than kept waiting.
const teamTime = 4 * time.Second

// Member says whether the person is an active member of the team
// "org/slug", members of its child teams included
// (https://docs.github.com/rest/teams/members#get-team-membership-for-a-user).
// A failed look-up is an error and never a yes (threats row 23).
func (t Teams) Member(ctx context.Context, p gatekeeper.Person, a gatekeeper.Approver) (bool, error) {
	org, slug, err := teamOf(a)
	if err != nil {
		return false, err
	}
	entry, ok := t.People.BySlack(p.Slack)
	if !ok || entry.GitHub == "" && entry.GitHubID == "" {
		return false, nil // nobody's account: people in gatekeeper.yaml does not name one
	}
	ctx, cancel := context.WithTimeout(ctx, teamTime)
	defer cancel()
	client, err := t.Client.organization(ctx, org)
	if err != nil {
		return false, err
	}
	login, err := loginOf(ctx, client, entry)
	if err != nil || login == "" {
		return false, err
	}
	m, _, err := client.Teams.GetTeamMembershipBySlug(ctx, org, slug, login)
	switch {
	case statusOfCall(err) == http.StatusNotFound:
		return false, nil
	case err != nil:
		return false, unavailable(err, "tell whether "+login+" belongs to team "+a.ID())
	}
	return m.GetState() == "active", nil
}

// loginOf follows the immutable id where the configuration knows it: a login
// can be renamed, and taken by somebody else (threats rows 2 and 24).
func loginOf(ctx context.Context, client *github.Client, e gatekeeper.PersonEntry) (string, error) {
	if e.GitHubID == "" {
		return e.GitHub, nil
	}
	id, err := strconv.ParseInt(e.GitHubID, 10, 64)
	if err != nil {
		return "", gatekeeper.Errorf(gatekeeper.CodeUnavailable, "github_id %q of %s in people is no id; https://api.github.com/users/LOGIN tells it", e.GitHubID, e.Name)
	}
	user, _, err := client.Users.GetByID(ctx, id)
	switch {
	case statusOfCall(err) == http.StatusNotFound:
		return "", nil
	case err != nil:
		return "", unavailable(err, "tell the login of account "+e.GitHubID)
	case user.GetID() != id:
		return "", gatekeeper.Errorf(gatekeeper.CodeUnavailable, "GitHub answered about another account than %s", e.GitHubID)
	}
	return user.GetLogin(), nil
}

// TeamSize is how many people a team has. A team that is not there, or that
// the App may not see, is CodeNotFound.
func (t Teams) TeamSize(ctx context.Context, a gatekeeper.Approver) (int, error) {
	org, slug, err := teamOf(a)
	if err != nil {
		return 0, err
	}
	client, err := t.Client.organization(ctx, org)
	if statusOfCall(err) == http.StatusNotFound {
		return 0, gatekeeper.Wrap(err, gatekeeper.CodeNotFound, "the App is not installed on organisation %s", org)
	}
	if err != nil {
		return 0, err
	}
	team, _, err := client.Teams.GetTeamBySlug(ctx, org, slug)
	if forbidden(err) {
		return 0, gatekeeper.Wrap(err, gatekeeper.CodeNotFound, "organisation %s has no team %q that the App may see (permission: Members, read)", org, slug)
	}
	return team.GetMembersCount(), unavailable(err, "tell of team "+a.ID())
}

func teamOf(a gatekeeper.Approver) (org, slug string, err error) {
	org, slug, ok := strings.Cut(a.ID(), "/")
	if a.Kind() != gatekeeper.ApproverGitHubTeam || !ok || !fullName.MatchString(a.ID()) {
		return "", "", gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "approver %q is no team; github:org/team is wanted", a)
	}
	return org, slug, nil
}

package slack

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Identity is whose bot we are, as auth.test tells it.
type Identity struct {
	Team     string // T…
	TeamName string
	User     string   // the bot's user id
	Missing  []string // scopes of [Scopes] that the token lacks; nil where Slack does not tell
}

// Check asks Slack whether the token works, for readiness and `slack check`.
// An error says in words what to do; the service does not depend on it.
func (s *Slack) Check(ctx context.Context) (Identity, error) {
	answer, err := s.who.ask(ctx)
	if err != nil {
		return Identity{}, s.fault(err, "auth.test", "")
	}
	id := Identity{Team: answer.TeamID, TeamName: answer.Team, User: answer.UserID}
	if granted := answer.Header.Get("X-OAuth-Scopes"); granted != "" {
		id.Missing = missing(granted)
	}
	if s.Team != "" && s.Team != answer.TeamID && s.Team != answer.EnterpriseID {
		return id, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest,
			"slack.team is %s, but the bot token belongs to %s (%s): every click would be refused", s.Team, answer.TeamID, answer.Team)
	}
	return id, nil
}

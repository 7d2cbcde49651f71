package slack

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
	"golang.org/x/sync/singleflight"
)

// lookTime is the time for one look at a person, all calls together. A click was
// acknowledged before, so it may take as long as a Slack that is slow.
const lookTime = 8 * time.Second

// Directory knows the workspace's people as they are now. It keeps nothing:
// only look-ups that run at the same moment share one answer. It is safe for
// concurrent use.
type Directory struct {
	o      Options
	api    *slackgo.Client
	who    *identity
	flight singleflight.Group
}

var _ gatekeeper.Directory = (*Directory)(nil)

// NewDirectory needs the bot token alone; team and API are as in [Options].
// It is separate from [New] because the gate that New needs, needs it.
func NewDirectory(o Options) (*Directory, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Timeout: lookTime}
	}
	api := newClient(o)
	return &Directory{o: o, api: api, who: &identity{api: api, configured: o.Team}}, nil
}

// Standing looks at the person by users.info. Who Slack does not know, or
// does not show to us, is nobody or a stranger; every other failure is an
// error (threats row 23).
func (d *Directory) Standing(ctx context.Context, p gatekeeper.Person) (gatekeeper.Standing, error) {
	if !userID.MatchString(p.Slack) {
		return gatekeeper.Standing{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q is no Slack user id", line(p.Slack, 40))
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	team, err := d.who.team(ctx)
	if err != nil {
		return gatekeeper.Standing{}, d.o.fault(err, "auth.test", "")
	}
	user, err := shared(ctx, &d.flight, "user "+p.Slack, func(ctx context.Context) (*slackgo.User, error) {
		return d.api.GetUserInfoContext(ctx, p.Slack)
	})
	switch slackCode(err) {
	case "user_not_found", "users_not_found":
		return gatekeeper.Standing{}, nil
	case "user_not_visible":
		return gatekeeper.Standing{Foreign: true}, nil
	}
	if err != nil {
		return gatekeeper.Standing{}, d.o.fault(err, "users.info", p.Slack)
	}
	if user.ID != p.Slack {
		return gatekeeper.Standing{}, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "users.info answered about somebody else than %s", p.Slack)
	}
	return standing(*user, p, team), nil
}

func standing(u slackgo.User, p gatekeeper.Person, team string) gatekeeper.Standing {
	return gatekeeper.Standing{
		Active: !u.Deleted && !u.IsInvitedUser,
		Guest:  u.IsRestricted || u.IsUltraRestricted,
		// Not is_app_user: that is a person who authorised the app.
		Bot:     u.IsBot || u.IsConnectorBot || u.IsWorkflowBot || u.ID == "USLACKBOT",
		Foreign: foreign(u, p, team),
		Name:    display(u),
	}
}

// foreign wants both the account and the click to be of our team. In an
// Enterprise Grid a person's own workspace may be another one, so there the
// organisation's list of theirs decides.
func foreign(u slackgo.User, p gatekeeper.Person, team string) bool {
	home := u.TeamID
	if home == "" {
		home = p.Team // Slack signed it; is_stranger still counts
	}
	ours := func(t string) bool {
		if t == team {
			return true
		}
		grid := slices.Contains(u.Enterprise.Teams, team) || u.Enterprise.EnterpriseID == team
		return grid && (slices.Contains(u.Enterprise.Teams, t) || u.Enterprise.EnterpriseID == t)
	}
	return u.IsStranger || team == "" || !ours(home) || p.Team != "" && !ours(p.Team)
}

func display(u slackgo.User) string {
	for _, name := range []string{u.RealName, u.Profile.RealName, u.Profile.DisplayName, u.Name} {
		if name = line(name, 80); name != "" {
			return name
		}
	}
	return u.ID
}

// Member says whether the person is the named user, or is in the user group
// now. A group that Slack does not know, or that is disabled, has nobody.
func (d *Directory) Member(ctx context.Context, p gatekeeper.Person, a gatekeeper.Approver) (bool, error) {
	switch a.Kind() {
	case gatekeeper.ApproverSlackUser:
		return p.Slack != "" && p.Slack == a.ID(), nil
	case gatekeeper.ApproverSlackGroup:
		return d.inGroup(ctx, p.Slack, a.ID())
	case gatekeeper.ApproverGitHubTeam:
		return false, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "members of %s cannot be looked up: github is not configured", line(string(a), 80))
	}
	return false, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q is no approver", line(string(a), 80))
}

func (d *Directory) inGroup(ctx context.Context, user, group string) (bool, error) {
	members, err := d.members(ctx, group)
	return err == nil && user != "" && slices.Contains(members, user), err
}

// members are in the user group now. A group that is unknown or disabled has
// nobody.
func (d *Directory) members(ctx context.Context, group string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	members, err := shared(ctx, &d.flight, "group "+group, func(ctx context.Context) ([]string, error) {
		return d.api.GetUserGroupMembersContext(ctx, group)
	})
	if code := slackCode(err); code == "no_such_subteam" || code == "subteam_not_found" {
		d.o.Logger.ErrorContext(ctx, "slack: a rule names a user group that is unknown or disabled", "group", group)
		return nil, nil
	}
	if err != nil {
		return nil, d.o.fault(err, "usergroups.users.list", group)
	}
	return members, nil
}

// shared lets look-ups that run at the same moment share one call. The call
// has its own time, so that the first caller leaving does not fail the rest.
func shared[T any](ctx context.Context, g *singleflight.Group, key string, call func(context.Context) (T, error)) (T, error) {
	var zero T
	answer := g.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
		defer cancel()
		return call(ctx)
	})
	select {
	case <-ctx.Done():
		return zero, fmt.Errorf("%s: %w", key, ctx.Err())
	case r := <-answer:
		if r.Err != nil {
			return zero, r.Err
		}
		value, ok := r.Val.(T)
		if !ok {
			return zero, fmt.Errorf("%s: the look-up gave %T", key, r.Val)
		}
		return value, nil
	}
}

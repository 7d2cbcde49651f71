package slack

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Group is who is in a user group right now. One that Slack does not know, or
// that is disabled, is CodeNotFound: rules that name it have nobody there.
func (d *Directory) Group(ctx context.Context, id string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	members, err := d.api.GetUserGroupMembersContext(ctx, id)
	if code := slackCode(err); code == "no_such_subteam" || code == "subteam_not_found" {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeNotFound, "Slack knows no user group %s, or it is disabled", id)
	}
	if err != nil {
		return nil, d.o.fault(err, "usergroups.users.list", id)
	}
	return members, nil
}

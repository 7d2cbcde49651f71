package github

import (
	"context"
	"encoding/json"
	"strings"
)

// OnPush does something when a push may have changed what the location holds.
// What was pushed is not believed: it is fetched.
func OnPush(at Location, do func(context.Context) error) Subscription {
	return Subscription{Handle: func(ctx context.Context, e Event) error {
		var p struct {
			Ref        string     `json:"ref"`
			Repository repository `json:"repository"`
		}
		readable := json.Unmarshal(e.Payload, &p) == nil
		if readable && p.Repository.is(at) && at.followed(p.Ref, p.Repository.DefaultBranch) {
			return do(ctx)
		}
		return nil
	}}
}

type repository struct {
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

func (r repository) is(l Location) bool { return strings.EqualFold(r.FullName, l.Repository()) }

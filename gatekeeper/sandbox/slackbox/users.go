package slackbox

func (w *Workspace) usersInfo(a args) (reply, *failure) {
	u, ok := w.user(a.str("user"))
	switch {
	case !ok:
		return nil, fails("user_not_found")
	case u.Hidden:
		return nil, fails("user_not_visible")
	}
	return reply{"user": w.userAsSlack(u)}, nil
}

// userAsSlack is a user as Slack tells it: of deactivated people little is
// left, and addresses take a scope of their own.
func (w *Workspace) userAsSlack(u User) map[string]any {
	profile := map[string]any{"real_name": u.RealName, "real_name_normalized": u.RealName, "display_name": u.RealName,
		"display_name_normalized": u.RealName, "title": u.Title, "team": u.team()}
	if u.Email != "" && w.granted("users:read.email") && !u.Stranger {
		profile["email"] = u.Email
	}
	out := map[string]any{"id": u.ID, "team_id": u.team(), "name": u.Name, "deleted": u.Deactivated, "profile": profile, "is_bot": u.Bot, "updated": 1700000000}
	if u.Enterprise != "" {
		out["enterprise_user"] = map[string]any{"id": u.ID, "enterprise_id": u.Enterprise, "enterprise_name": u.Enterprise, "teams": []string{u.team()}}
	}
	if u.Stranger {
		out["is_stranger"] = true
	}
	if u.Deactivated {
		return out
	}
	for k, v := range map[string]any{"real_name": u.RealName, "tz": "Europe/Berlin", "is_admin": false, "is_owner": false, "is_app_user": false,
		"is_restricted": u.Guest || u.SingleGuest, "is_ultra_restricted": u.SingleGuest} {
		out[k] = v
	}
	return out
}

func (w *Workspace) usersList(args) (reply, *failure) {
	list := []map[string]any{}
	for _, u := range w.users {
		if !u.Hidden {
			list = append(list, w.userAsSlack(u))
		}
	}
	return reply{"members": list, "response_metadata": reply{"next_cursor": ""}}, nil
}

func (w *Workspace) lookupByEmail(a args) (reply, *failure) {
	u, ok := get(w.users, func(u User) bool { return u.Email != "" && u.Email == a.str("email") && !u.Deactivated })
	if !ok {
		return nil, fails("users_not_found")
	}
	return reply{"user": w.userAsSlack(u)}, nil
}

func (w *Workspace) groupsList(a args) (reply, *failure) {
	list := []map[string]any{}
	for _, g := range w.groups {
		if g.Disabled && !a.yes("include_disabled") {
			continue
		}
		deleted := 0
		if g.Disabled {
			deleted = 1700000000
		}
		out := map[string]any{"id": g.ID, "team_id": TeamID, "is_usergroup": true, "is_subteam": true, "name": g.Name, "handle": g.Handle,
			"user_count": len(g.Members), "date_delete": deleted}
		if a.yes("include_users") {
			out["users"] = g.Members
		}
		list = append(list, out)
	}
	return reply{"usergroups": list}, nil
}

func (w *Workspace) groupMembers(a args) (reply, *failure) {
	g, ok := w.group(a.str("usergroup"))
	if !ok || g.Disabled && !a.yes("include_disabled") {
		return nil, fails("no_such_subteam")
	}
	members := g.Members
	if members == nil {
		members = []string{}
	}
	return reply{"users": members}, nil
}

func (w *Workspace) teamInfo(args) (reply, *failure) {
	return reply{"team": map[string]any{"id": TeamID, "name": TeamName, "domain": TeamDomain}}, nil
}

package githubbox

import (
	"net/http"
	"strconv"
	"strings"
)

func (g *GitHub) teamCalls() {
	g.installed("GET /orgs/{org}/teams/{slug}", "members:read", g.team)
	g.installed("GET /orgs/{org}/teams/{slug}/members", "members:read", g.members)
	g.installed("GET /orgs/{org}/teams/{slug}/memberships/{login}", "members:read", g.membership)
	g.installed("GET /user/{id}", "", g.userByID)
}

// Team sets a team's members: login → active or pending.
func (g *GitHub) Team(org, slug string, members map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.teams[strings.ToLower(org+"/"+slug)] = members
}

func (g *GitHub) ofTeam(w http.ResponseWriter, r *http.Request) map[string]string {
	members, ok := g.teams[strings.ToLower(r.PathValue("org")+"/"+r.PathValue("slug"))]
	if !ok {
		notFound(w)
	}
	return members
}

func (g *GitHub) team(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if members := g.ofTeam(w, r); members != nil {
		answer(w, http.StatusOK, map[string]any{"id": 5, "slug": r.PathValue("slug"), "members_count": len(members)})
	}
}

func (g *GitHub) members(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	members := g.ofTeam(w, r)
	if members == nil {
		return
	}
	all := []User{}
	for login, state := range members {
		if state == "active" {
			all = append(all, User{Login: login, ID: g.users[strings.ToLower(login)].ID})
		}
	}
	answer(w, http.StatusOK, page(w, r, all))
}

func (g *GitHub) membership(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	members := g.ofTeam(w, r)
	if members == nil {
		return
	}
	for login, state := range members {
		if strings.EqualFold(login, r.PathValue("login")) {
			answer(w, http.StatusOK, map[string]any{"state": state, "role": "member", "url": "https://evil.example/"})
			return
		}
	}
	notFound(w)
}

func (g *GitHub) userByID(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, u := range g.users {
		if strconv.FormatInt(u.ID, 10) == r.PathValue("id") {
			answer(w, http.StatusOK, u)
			return
		}
	}
	notFound(w)
}

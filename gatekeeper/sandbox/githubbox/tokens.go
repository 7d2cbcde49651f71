package githubbox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// token is an installation's access token.
type token struct {
	owner        string
	permissions  map[string]string
	repositories []string // nil: all of the installation's
	expires      time.Time
}

func (t token) reaches(repository string) bool {
	return t.repositories == nil || slices.ContainsFunc(t.repositories, func(name string) bool { return strings.EqualFold(name, repository) })
}

// maxRepositories is the most that one token may be limited to
// (https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app).
const maxRepositories = 500

// narrowed is what a token may be limited to.
type narrowed struct {
	Repositories []string          `json:"repositories"`
	Permissions  map[string]string `json:"permissions"`
}

func (g *GitHub) accessToken(w http.ResponseWriter, r *http.Request) {
	var ask narrowed
	if r.ContentLength > 0 && json.NewDecoder(r.Body).Decode(&ask) != nil {
		refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	owner := g.ownerOf(r.PathValue("id"))
	switch why := g.tooWide(owner, ask); {
	case owner == "":
		notFound(w)
	case why != "":
		refuse(w, http.StatusUnprocessableEntity, why)
	default:
		value, t := g.newToken(owner, ask)
		answer(w, http.StatusCreated, g.described(value, t))
	}
}

// ownerOf is the owner of an installation.
func (g *GitHub) ownerOf(id string) string {
	for owner, number := range g.owners {
		if strconv.FormatInt(number, 10) == id {
			return owner
		}
	}
	return ""
}

// tooWide says why a token cannot be limited like that: a token has no more
// than its installation. The lock is held.
func (g *GitHub) tooWide(owner string, ask narrowed) string {
	if len(ask.Repositories) > maxRepositories {
		return fmt.Sprintf("There are more than %d repositories", maxRepositories)
	}
	for _, name := range ask.Repositories {
		if repo := g.repos[owner+"/"+strings.ToLower(name)]; repo == nil || repo.NotInstalled {
			return "There is at least one repository that does not exist or is not accessible to the parent installation."
		}
	}
	for name, level := range ask.Permissions {
		if level == "" || !allowed(g.app.Permissions, name+":"+level) {
			return "The permissions requested are not granted to this installation."
		}
	}
	return ""
}

// newToken makes a token; the lock is held.
func (g *GitHub) newToken(owner string, ask narrowed) (string, token) {
	t := token{owner: owner, permissions: g.app.Permissions, expires: time.Now().Add(time.Hour)}
	if ask.Permissions != nil {
		t.permissions = map[string]string{"metadata": "read"} // GitHub always adds it
		for name, level := range ask.Permissions {
			t.permissions[name] = level
		}
	}
	for _, name := range ask.Repositories {
		t.repositories = append(t.repositories, g.repos[owner+"/"+strings.ToLower(name)].Name)
	}
	value := "ghs_" + rand.Text()
	g.tokens[value] = t
	g.issued = append(g.issued, value)
	return value, t
}

func (g *GitHub) described(value string, t token) map[string]any {
	out := map[string]any{"token": value, "expires_at": stamp(t.expires), "permissions": t.permissions, "repository_selection": "all"}
	if t.repositories != nil {
		all := []map[string]any{}
		for _, name := range t.repositories {
			repo := g.repos[strings.ToLower(name)]
			all = append(all, map[string]any{"id": repo.ID, "full_name": repo.Name})
		}
		out["repository_selection"], out["repositories"] = "selected", all
	}
	return out
}

func (g *GitHub) revokeToken(w http.ResponseWriter, r *http.Request) {
	_, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	g.mu.Lock()
	delete(g.tokens, bearer)
	g.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// Issued are all tokens that were handed out.
func (g *GitHub) Issued() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.issued)
}

// Alive says whether a token still opens something.
func (g *GitHub) Alive(value string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.tokens[value]
	return ok && time.Now().Before(t.expires)
}

package githubbox

import (
	"net/http"
	"slices"
	"strings"
)

// Repository is one repository with its environments and runs.
type Repository struct {
	ID            int64
	Name          string // owner/name
	OwnerID       int64
	Visibility    string // public, private or internal
	DefaultBranch string
	NotInstalled  bool // the App's installation has no access
	Archived      bool
	Branches      map[string]string // name → sha
	Tags          map[string]string
	Environments  map[string]*Environment
	Runs          map[int64]*Run
}

// Environment is one environment's protection.
type Environment struct {
	Rule          bool // the App's protection rule is enabled
	OtherApp      bool // another App's rule is enabled
	OthersWait    bool // another rule, e.g. required reviewers, waits as well
	NoAdminBypass bool
}

// Repo adds a repository and the App's installation at its owner.
func (g *GitHub) Repo(r Repository) {
	g.mu.Lock()
	defer g.mu.Unlock()
	owner, _, _ := strings.Cut(r.Name, "/")
	owner = strings.ToLower(owner)
	if g.owners[owner] == 0 {
		g.owners[owner] = int64(70 + len(g.owners))
	}
	if r.Runs == nil {
		r.Runs = map[int64]*Run{}
	}
	if r.Visibility == "" {
		r.Visibility = "private"
	}
	if r.DefaultBranch == "" {
		r.DefaultBranch = "main"
	}
	g.repos[strings.ToLower(r.Name)] = &r
}

// Install adds the App's installation at an owner without repositories.
func (g *GitHub) Install(owner string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if key := strings.ToLower(owner); g.owners[key] == 0 {
		g.owners[key] = int64(70 + len(g.owners))
	}
}

// Account makes a login known, for look-ups by id.
func (g *GitHub) Account(u User) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users[strings.ToLower(u.Login)] = u
}

func (g *GitHub) appCalls() {
	g.asApp("GET /app", g.getApp)
	g.asApp("GET /app/hook/config", g.hookConfig)
	g.asApp("GET /app/installations", g.installations)
	g.asApp("GET /repos/{owner}/{repo}/installation", g.repoInstallation)
	g.asApp("GET /orgs/{org}/installation", g.orgInstallation)
	g.asApp("POST /app/installations/{id}/access_tokens", g.accessToken)
	g.installed("DELETE /installation/token", "", g.revokeToken)
	g.installed("GET /repos/{owner}/{repo}", "metadata:read", g.repository)
	g.installed("GET /installation/repositories", "metadata:read", g.repositories)
}

func (g *GitHub) getApp(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{
		"id": AppID, "slug": g.app.Slug, "name": "Acme Gatekeeper", "permissions": g.app.Permissions, "events": g.app.Events, "owner": map[string]any{"login": "acme"},
		"html_url": "https://github.com/apps/" + g.app.Slug,
	})
}

func (g *GitHub) hookConfig(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": g.app.WebhookURL})
}

func (g *GitHub) installation(owner string) map[string]any {
	return map[string]any{
		"id": g.owners[owner], "app_id": AppID, "app_slug": g.app.Slug, "account": map[string]any{"login": owner}, "permissions": g.app.Permissions,
		"events": g.app.Events, "repository_selection": "all", "target_type": "Organization",
	}
}

func (g *GitHub) installations(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	owners := make([]string, 0, len(g.owners))
	for owner := range g.owners {
		owners = append(owners, owner)
	}
	slices.Sort(owners)
	all := []map[string]any{}
	for _, owner := range owners {
		all = append(all, g.installation(owner))
	}
	answer(w, http.StatusOK, page(w, r, all))
}

func (g *GitHub) repoInstallation(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	owner := strings.ToLower(r.PathValue("owner"))
	repo := g.repos[owner+"/"+strings.ToLower(r.PathValue("repo"))]
	if repo == nil && len(g.repos) > 0 || repo != nil && repo.NotInstalled {
		notFound(w)
		return
	}
	if g.owners[owner] == 0 {
		g.owners[owner] = int64(70 + len(g.owners))
	}
	answer(w, http.StatusOK, g.installation(owner))
}

func (g *GitHub) orgInstallation(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	org := strings.ToLower(r.PathValue("org"))
	if g.owners[org] == 0 {
		notFound(w)
		return
	}
	answer(w, http.StatusOK, g.installation(org))
}

func (g *GitHub) repositories(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	owner := g.tokens[bearer].owner
	all := []map[string]any{}
	for _, name := range g.names() {
		if repo := g.repos[name]; strings.HasPrefix(name, owner+"/") && !repo.NotInstalled {
			all = append(all, repo.json())
		}
	}
	answer(w, http.StatusOK, map[string]any{"total_count": len(all), "repositories": page(w, r, all)})
}

func (g *GitHub) repository(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if repo := g.of(w, r); repo != nil {
		answer(w, http.StatusOK, repo.json())
	}
}

func (g *GitHub) names() []string {
	names := make([]string, 0, len(g.repos))
	for name := range g.repos {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (r *Repository) json() map[string]any {
	owner, name, _ := strings.Cut(r.Name, "/")
	return map[string]any{
		"id": r.ID, "name": name, "full_name": r.Name, "private": r.Visibility != "public", "visibility": r.Visibility, "archived": r.Archived,
		"default_branch": r.DefaultBranch, "owner": map[string]any{"login": owner, "id": r.OwnerID}, "html_url": "https://github.com/" + r.Name,
	}
}

// of is the repository of a call, answering 404 where there is none; the lock
// is held.
func (g *GitHub) of(w http.ResponseWriter, r *http.Request) *Repository {
	repo := g.repos[strings.ToLower(r.PathValue("owner")+"/"+r.PathValue("repo"))]
	if repo == nil {
		notFound(w)
	}
	return repo
}

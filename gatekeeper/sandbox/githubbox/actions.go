package githubbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Run is a workflow run.
type Run struct {
	ID         int64
	Number     int
	Attempt    int
	Event      string
	HeadBranch string
	HeadSHA    string
	Path       string // .github/workflows/deploy.yml
	Actor      User
	Triggering User     // who started this attempt; zero: the actor
	Referenced []string // reusable workflows, path@ref
	Completed  bool
	Waiting    []string // environments that wait for protection rules
	Reports    []Report
}

// Report is what a protection rule said.
type Report struct{ Environment, State, Comment string }

func (g *GitHub) actionCalls() {
	g.installed("GET /repos/{owner}/{repo}/actions/runs", "actions:read", g.runs)
	g.installed("GET /repos/{owner}/{repo}/actions/runs/{run}", "actions:read", g.getRun)
	g.installed("GET /repos/{owner}/{repo}/actions/runs/{run}/attempts/{attempt}", "actions:read", g.attempt)
	g.installed("GET /repos/{owner}/{repo}/actions/runs/{run}/pending_deployments", "actions:read", g.pending)
	g.installed("POST /repos/{owner}/{repo}/actions/runs/{run}/deployment_protection_rule", "deployments:write", g.report)
	g.installed("GET /repos/{owner}/{repo}/environments", "actions:read", g.environments)
	g.installed("GET /repos/{owner}/{repo}/environments/{env}/deployment_protection_rules", "actions:read", g.rules)
}

// Run adds a run, or puts it in the place of its older attempt.
func (g *GitHub) Run(repository string, run Run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.repos[strings.ToLower(repository)].Runs[run.ID] = &run
	g.tell()
}

// Reports is what protection rules said about a run so far.
func (g *GitHub) Reports(repository string, run int64) []Report {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.repos[strings.ToLower(repository)].Runs[run].Reports)
}

// ChangeRun changes a run, as by a person on GitHub.
func (g *GitHub) ChangeRun(repository string, run int64, change func(*Run)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g.repos[strings.ToLower(repository)].Runs[run])
	g.tell()
}

// Attempt says who started a run and who started that attempt of it.
func (g *GitHub) Attempt(repository, run, attempt string, actor, triggering User) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attempts[repository+"/"+run+"/"+attempt] = [2]User{actor, triggering}
}

func (g *GitHub) attempt(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := r.PathValue("owner") + "/" + r.PathValue("repo") + "/" + r.PathValue("run") + "/" + r.PathValue("attempt")
	who, ok := g.attempts[key]
	if repo := g.repos[strings.ToLower(r.PathValue("owner")+"/"+r.PathValue("repo"))]; !ok && repo != nil {
		if run := repo.run(r); run != nil && strconv.Itoa(run.Attempt) == r.PathValue("attempt") {
			who, ok = [2]User{run.Actor, run.triggering()}, true
		}
	}
	if !ok {
		notFound(w)
		return
	}
	answer(w, http.StatusOK, map[string]any{"actor": who[0], "triggering_actor": who[1]})
}

func (r *Repository) run(req *http.Request) *Run {
	id, _ := strconv.ParseInt(req.PathValue("run"), 10, 64)
	return r.Runs[id]
}

func (r Run) triggering() User {
	if r.Triggering.Login == "" {
		return r.Actor
	}
	return r.Triggering
}

func (r Run) status() string {
	switch {
	case r.Completed:
		return "completed"
	case len(r.Waiting) > 0:
		return "waiting"
	}
	return "in_progress"
}

func (r Run) json(repo *Repository) map[string]any {
	referenced := []map[string]string{}
	for _, path := range r.Referenced {
		referenced = append(referenced, map[string]string{"path": path, "sha": r.HeadSHA})
	}
	return map[string]any{
		"id": r.ID, "name": "deploy", "run_number": r.Number, "run_attempt": max(1, r.Attempt), "event": r.Event, "status": r.status(),
		"head_branch": r.HeadBranch, "head_sha": r.HeadSHA, "path": r.Path, "actor": r.Actor, "triggering_actor": r.triggering(),
		"repository": repo.json(), "referenced_workflows": referenced, "html_url": "https://evil.example/never/follow/" + repo.Name,
	}
}

func (g *GitHub) runs(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	repo := g.of(w, r)
	if repo == nil {
		return
	}
	all := []map[string]any{}
	for _, run := range repo.Runs {
		if status := r.URL.Query().Get("status"); status == "" || status == run.status() {
			all = append(all, run.json(repo))
		}
	}
	answer(w, http.StatusOK, map[string]any{"total_count": len(all), "workflow_runs": page(w, r, all)})
}

// ofRun gives the run of a call, answering 404 where there is none.
func (g *GitHub) ofRun(w http.ResponseWriter, r *http.Request) (*Repository, *Run) {
	repo := g.of(w, r)
	if repo == nil {
		return nil, nil
	}
	run := repo.run(r)
	if run == nil {
		notFound(w)
	}
	return repo, run
}

func (g *GitHub) getRun(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if repo, run := g.ofRun(w, r); run != nil {
		answer(w, http.StatusOK, run.json(repo))
	}
}

func (g *GitHub) pending(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, run := g.ofRun(w, r)
	if run == nil {
		return
	}
	all := []map[string]any{}
	for i, env := range run.Waiting {
		all = append(all, map[string]any{
			"environment": map[string]any{"id": i + 1, "name": env, "html_url": "https://github.com/deployments"}, "wait_timer": 0, "wait_timer_started_at": nil,
			"current_user_can_approve": false, "reviewers": []any{},
		})
	}
	answer(w, http.StatusOK, all)
}

// The limits of reports:
// https://docs.github.com/actions/how-tos/deploy/configure-and-manage-deployments/create-custom-protection-rules
const (
	maxReports = 10
	maxComment = 1024
)

func (g *GitHub) report(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Environment string `json:"environment_name"`
		State       string `json:"state"`
		Comment     string `json:"comment"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	repo, run := g.ofRun(w, r)
	if run == nil {
		return
	}
	if why := run.refusal(repo, body.Environment, body.State, body.Comment); why != "" {
		refuse(w, http.StatusUnprocessableEntity, why)
		return
	}
	run.Reports = append(run.Reports, Report{body.Environment, body.State, body.Comment})
	run.settle(repo, body.Environment, body.State)
	w.WriteHeader(http.StatusNoContent)
}

func (r *Run) refusal(repo *Repository, env, state, comment string) string {
	said := 0
	for _, report := range r.Reports {
		if strings.EqualFold(report.Environment, env) {
			said++
		}
	}
	e := repo.Environments[strings.ToLower(env)]
	switch {
	case state != "approved" && state != "rejected" && (state != "" || comment == ""):
		return "Invalid state"
	case utf8.RuneCountInString(comment) > maxComment:
		return "Comment is too long (maximum is 1024 characters)"
	case e == nil || !e.Rule || !slices.ContainsFunc(r.Waiting, func(w string) bool { return strings.EqualFold(w, env) }):
		return "The deployment is not waiting for this protection rule"
	case said >= maxReports:
		return "No more than 10 reports are taken"
	}
	return ""
}

// settle ends the wait: a rejection at once, an approval unless another rule
// waits too.
func (r *Run) settle(repo *Repository, env, state string) {
	if state == "" || state == "approved" && repo.Environments[strings.ToLower(env)].OthersWait {
		return
	}
	r.Waiting = slices.DeleteFunc(r.Waiting, func(w string) bool { return strings.EqualFold(w, env) })
	if state == "rejected" {
		r.Completed = true
	}
}

func (g *GitHub) environments(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	repo := g.of(w, r)
	if repo == nil {
		return
	}
	names := make([]string, 0, len(repo.Environments))
	for name := range repo.Environments {
		names = append(names, name)
	}
	slices.Sort(names)
	all := []map[string]any{}
	for i, name := range names {
		all = append(all, map[string]any{"id": i + 1, "name": name, "can_admins_bypass": !repo.Environments[name].NoAdminBypass, "protection_rules": []any{}})
	}
	answer(w, http.StatusOK, map[string]any{"total_count": len(all), "environments": page(w, r, all)})
}

// OtherRule enables another App's rule beside ours.
func (g *GitHub) OtherRule(repository, environment string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.repos[strings.ToLower(repository)].Environments[strings.ToLower(environment)]
	e.OtherApp, e.OthersWait = true, true
}

func (g *GitHub) rules(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	repo := g.of(w, r)
	if repo == nil {
		return
	}
	e := repo.Environments[strings.ToLower(r.PathValue("env"))]
	if e == nil {
		notFound(w)
		return
	}
	all := []map[string]any{}
	if e.Rule {
		all = append(all, map[string]any{"id": 3, "node_id": "x", "enabled": true, "app": map[string]any{"id": AppID, "slug": g.app.Slug}})
	}
	if e.OtherApp {
		all = append(all, map[string]any{"id": 4, "node_id": "y", "enabled": true, "app": map[string]any{"id": AppID + 1, "slug": "another"}})
	}
	answer(w, http.StatusOK, map[string]any{"total_count": len(all), "custom_deployment_protection_rules": all})
}

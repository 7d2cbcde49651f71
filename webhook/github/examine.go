package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// Finding is one thing that was looked at, in words for who administers the
// organisation.
type Finding struct {
	Mark Mark
	Text string
}

// Mark says how a finding is meant.
type Mark int

// The marks.
const (
	Fine    Mark = iota
	Note         // works, and people should know of it
	Missing      // does not work
)

// ExamineOptions say what an examination looks for.
type ExamineOptions struct {
	PublicURL    string // of the gatekeeper
	TakesHooks   bool   // a webhook_secret is configured
	Repositories int    // most that are looked at for environments
}

// examination collects findings.
type examination struct {
	c        *Client
	o        ExamineOptions
	findings []Finding
	guarded  int // environments with our rule
}

func (e *examination) add(m Mark, format string, args ...any) {
	e.findings = append(e.findings, Finding{m, fmt.Sprintf(format, args...)})
}

// Examine asks GitHub whether the App is set up as it has to be: its key,
// permissions, events, webhook, installations, and the environments that have
// its rule. An error says that GitHub could not be asked.
func (c *Client) Examine(ctx context.Context, o ExamineOptions) ([]Finding, error) {
	e := &examination{c: c, o: o}
	app, ok, err := e.app(ctx)
	if err != nil || !ok {
		return e.findings, err
	}
	if err := e.hook(ctx, app); err != nil {
		return e.findings, err
	}
	return e.findings, e.installations(ctx, app)
}

// registered is what is read of an App and of its installations.
type registered struct {
	ID          int64             `json:"id"`
	Slug        string            `json:"slug"`
	Name        string            `json:"name"`
	Owner       *github.User      `json:"owner"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
	Account     *github.User      `json:"account"`
	TargetType  string            `json:"target_type"`
	SuspendedAt json.RawMessage   `json:"suspended_at"`
}

func (e *examination) app(ctx context.Context) (app registered, ok bool, err error) {
	_, err = get(ctx, e.c.app, "app", &app)
	switch status := statusOfCall(err); {
	case status == http.StatusUnauthorized || status == http.StatusNotFound:
		e.add(Missing, "GitHub does not take the key: github.private_key_file is none of App %d's, or was deleted on the App's page, or this machine's clock is wrong", e.c.o.AppID)
		return app, false, nil
	case err != nil:
		return app, false, unavailable(err, "tell of the App")
	}
	e.add(Fine, "the key works: App %q (%s), id %d", app.Name, app.Slug, app.ID)
	e.permissions("the App", app.Permissions, e.settings(app)+"/permissions")
	for _, event := range Events() {
		if !slices.Contains(app.Events, event) {
			e.add(markOf(event == "deployment_protection_rule"), "the App does not subscribe to event %s; tick it at %s/permissions under Subscribe to events", event, e.settings(app))
		}
	}
	return app, true, nil
}

func markOf(needed bool) Mark {
	if needed {
		return Missing
	}
	return Note
}

// settings is the App's page for its owner.
func (e *examination) settings(app registered) string {
	if app.Owner.GetType() == "User" {
		return e.c.server() + "/settings/apps/" + app.Slug
	}
	return e.c.server() + "/organizations/" + app.Owner.GetLogin() + "/settings/apps/" + app.Slug
}

func (e *examination) permissions(whose string, has map[string]string, where string) {
	complete := true
	for _, p := range Permissions() {
		if has[p.Name] == p.Level || has[p.Name] == "write" {
			continue
		}
		complete = false
		level := has[p.Name]
		if level == "" {
			level = "none"
		}
		e.add(markOf(p.Needed), "%s has permission %s: %s, and %s is wanted for %s; grant it at %s", whose, strings.ReplaceAll(p.Name, "_", " "), level, p.Level, p.For, where)
	}
	if complete {
		e.add(Fine, "%s has all permissions", whose)
	}
}

func (e *examination) hook(ctx context.Context, app registered) error {
	config, _, err := e.c.app.Apps.GetHookConfig(ctx)
	if err != nil && statusOfCall(err) != http.StatusNotFound {
		return unavailable(err, "tell where the App's webhooks go")
	}
	want, urlErr := hookURL(e.o.PublicURL)
	if urlErr != nil {
		return urlErr
	}
	where := e.settings(app)
	switch {
	case config.GetURL() == "":
		e.add(Missing, "the App sends no webhooks; set %s as Webhook URL at %s", want, where)
	case config.GetURL() != want:
		e.add(Missing, "the App's webhooks go to %s; %s is this gatekeeper's, set it at %s", config.GetURL(), want, where)
	default:
		e.add(Fine, "webhooks go to %s", want)
	}
	if config.GetURL() != "" && config.GetContentType() != "json" {
		e.add(Missing, "webhooks are sent as %s; choose content type application/json at %s", config.GetContentType(), where)
	}
	if config.GetInsecureSSL() == "1" {
		e.add(Note, "webhooks are sent without looking at the certificate; enable SSL verification at %s", where)
	}
	if !e.o.TakesHooks {
		e.add(Missing, "gatekeeper.yaml has no github.webhook_secret, so no webhooks are taken and no deployment is held back; set the one of %s", where)
	}
	return nil
}

func (e *examination) installations(ctx context.Context, app registered) error {
	var all []registered
	if _, err := get(ctx, e.c.app, "app/installations?per_page=100", &all); err != nil {
		return unavailable(err, "list the App's installations")
	}
	if len(all) == 0 {
		e.add(Missing, "the App is installed nowhere; an owner of the organisation installs it at %s/installations", e.settings(app))
	}
	for _, i := range all {
		if err := e.installation(ctx, i); err != nil {
			return err
		}
	}
	if len(all) > 0 && e.guarded == 0 {
		e.add(Note, "no environment has the App's rule enabled, so no deployment is held back: enable it at Settings, Environments, NAME, Deployment protection rules of a repository")
	}
	return nil
}

func (e *examination) installation(ctx context.Context, i registered) error {
	who := i.Account.GetLogin()
	where := e.c.server() + "/organizations/" + who + "/settings/installations"
	if i.TargetType == "User" {
		where = e.c.server() + "/settings/installations"
	}
	if len(i.SuspendedAt) > 0 && string(i.SuspendedAt) != "null" {
		e.add(Missing, "the installation on %s is suspended; unsuspend it at %s", who, where)
		return nil
	}
	if owners := e.c.o.Issuer.Owners; len(owners) > 0 && !e.c.owned(gatekeeper.Workload{RepositoryOwner: who, RepositoryOwnerID: account(i.Account).ID}) {
		e.add(Note, "the App is installed on %s, who is not among the owners of issuer %s: nothing of theirs is approved", who, e.c.o.Issuer.Name)
		return nil
	}
	e.permissions("the installation on "+who, i.Permissions, where)
	return e.environments(ctx, i)
}

// environments looks for the App's rule in the installation's repositories.
func (e *examination) environments(ctx context.Context, i registered) error {
	client := e.c.ofInstallation(i.ID)
	list, _, err := client.Apps.ListRepos(ctx, &github.ListOptions{PerPage: min(max(e.o.Repositories, 1), pageSize)})
	if err != nil {
		return unavailable(err, "list the repositories of "+i.Account.GetLogin())
	}
	if more := list.GetTotalCount() - len(list.Repositories); more > 0 {
		e.add(Note, "%d more repositories of %s were not looked at for environments", more, i.Account.GetLogin())
	}
	for _, r := range list.Repositories {
		if r.GetArchived() || !fullName.MatchString(r.GetFullName()) {
			continue
		}
		if err := e.repository(ctx, client, r); err != nil {
			return err
		}
	}
	return nil
}

func (e *examination) repository(ctx context.Context, client *github.Client, r *github.Repository) error {
	owner, repo, _ := strings.Cut(r.GetFullName(), "/")
	var list struct {
		Environments []*github.Environment `json:"environments"`
	}
	_, err := get(ctx, client, repoPath(owner, repo)+"/environments?per_page=100", &list)
	if forbidden(err) {
		return nil
	}
	if err != nil {
		return unavailable(err, "list the environments of "+r.GetFullName())
	}
	for _, env := range list.Environments {
		ours, _, err := e.c.guarded(ctx, client, r.GetFullName(), env.GetName())
		if err != nil {
			return err
		}
		if ours {
			e.guarded++
			e.environment(r, env)
		}
	}
	return nil
}

func (e *examination) environment(r *github.Repository, env *github.Environment) {
	page := e.c.server() + "/" + r.GetFullName() + "/settings/environments"
	e.add(Fine, "%s, environment %s: the App's rule is enabled", r.GetFullName(), env.GetName())
	if env.CanAdminsBypass == nil || env.GetCanAdminsBypass() {
		e.add(Note, "%s, environment %s: administrators may bypass the rule (their job still gets no credentials without an approval); "+
			"clear “Allow administrators to bypass configured protection rules” at %s", r.GetFullName(), env.GetName(), page)
	}
}

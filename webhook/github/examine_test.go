package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

const home = "https://gatekeeper.example.com"

func examine(t *testing.T, arrange func(*githubbox.GitHub), o github.ExamineOptions) ([]github.Finding, error) {
	t.Helper()
	box, client := waits(t, nil)
	box.Webhooks(home+"/webhook/github", "secret")
	if arrange != nil {
		arrange(box)
	}
	o.PublicURL = home
	return client.Examine(t.Context(), o)
}

func said(findings []github.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintln(&b, f.Mark, f.Text)
	}
	return b.String()
}

func TestExamine(t *testing.T) {
	hooks := github.ExamineOptions{TakesHooks: true, Repositories: 100}
	app := func(change func(*githubbox.App)) func(*githubbox.GitHub) {
		return func(b *githubbox.GitHub) { b.Change(change) }
	}
	for name, c := range map[string]struct {
		arrange func(*githubbox.GitHub)
		o       github.ExamineOptions
		mark    github.Mark
		says    string
	}{
		"all there":         {nil, hooks, github.Fine, "acme/payments, environment production: the App's rule is enabled"},
		"admin bypass":      {nil, hooks, github.Note, "administrators may bypass the rule"},
		"no secret":         {nil, github.ExamineOptions{}, github.Missing, "no github.webhook_secret"},
		"no deployments":    {app(func(a *githubbox.App) { a.Permissions["deployments"] = "read" }), hooks, github.Missing, "has permission deployments: read, and write is wanted"},
		"no members":        {app(func(a *githubbox.App) { delete(a.Permissions, "members") }), hooks, github.Note, "members: none, and read is wanted for GitHub teams"},
		"no event":          {app(func(a *githubbox.App) { a.Events = []string{"push"} }), hooks, github.Missing, "does not subscribe to event deployment_protection_rule"},
		"no push event":     {app(func(a *githubbox.App) { a.Events = []string{"deployment_protection_rule"} }), hooks, github.Note, "event push"},
		"webhook elsewhere": {app(func(a *githubbox.App) { a.WebhookURL = "https://old.example.com/webhook/github" }), hooks, github.Missing, "go to https://old.example.com"},
		"no webhook":        {app(func(a *githubbox.App) { a.WebhookURL = "" }), hooks, github.Missing, "sends no webhooks"},
		"no rule": {func(b *githubbox.GitHub) {
			b.Repo(githubbox.Repository{ID: 1234567, Name: "acme/payments", OwnerID: 99, Environments: map[string]*githubbox.Environment{"production": {}}})
		}, hooks, github.Note, "no environment has the App's rule"},
		"another owner": {func(b *githubbox.GitHub) { b.Install("evil") }, hooks, github.Note, "installed on evil, who is not among the owners"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := examine(t, c.arrange, c.o)
			if err != nil || !slices.ContainsFunc(found, func(f github.Finding) bool { return f.Mark == c.mark && strings.Contains(f.Text, c.says) }) {
				t.Errorf("%v; want %q among\n%s", err, c.says, said(found))
			}
			missing := slices.ContainsFunc(found, func(f github.Finding) bool { return f.Mark == github.Missing })
			if missing != (c.mark == github.Missing) {
				t.Errorf("missing: %v\n%s", missing, said(found))
			}
		})
	}
}

func TestExamineWithAnotherKey(t *testing.T) {
	box, _ := waits(t, nil)
	client, err := github.New(github.Options{APIURL: box.URL(), AppID: githubbox.AppID + 1, PrivateKey: box.PrivateKey()})
	if err != nil {
		t.Fatal(err)
	}
	found, err := client.Examine(t.Context(), github.ExamineOptions{PublicURL: home})
	if err != nil || len(found) != 1 || found[0].Mark != github.Missing || !strings.Contains(found[0].Text, "does not take the key") {
		t.Errorf("%v\n%s", err, said(found))
	}
}

func TestExamineWhileGitHubIsDown(t *testing.T) {
	if found, err := examine(t, func(b *githubbox.GitHub) { b.Fail(http.StatusBadGateway) }, github.ExamineOptions{}); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("%v\n%s", err, said(found))
	}
}

// The manifest asks for what the examination wants.
func TestManifest(t *testing.T) {
	body, err := github.Manifest(home+"/", "Gatekeeper")
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Public      bool              `json:"public"`
		Hook        map[string]any    `json:"hook_attributes"`
		Permissions map[string]string `json:"default_permissions"`
		Events      []string          `json:"default_events"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if m.Public || m.Hook["url"] != home+"/webhook/github" || !slices.Equal(m.Events, github.Events()) {
		t.Errorf("%s", body)
	}
	found, err := examine(t, func(b *githubbox.GitHub) {
		b.Change(func(a *githubbox.App) { a.Permissions, a.Events = m.Permissions, m.Events })
	}, github.ExamineOptions{TakesHooks: true, Repositories: 1})
	for _, f := range found {
		if err != nil || f.Mark == github.Missing || strings.Contains(f.Text, "permission ") {
			t.Errorf("an App made of the manifest: %v, %s", err, f.Text)
		}
	}
	link, err := github.Registration("https://ghes.acme.com/", "acme", home, "Gatekeeper")
	u, parseErr := url.Parse(link)
	if err != nil || parseErr != nil || !strings.HasPrefix(link, "https://ghes.acme.com/organizations/acme/settings/apps/new?") || u.Query().Get("deployments") != "write" ||
		u.Query().Get("webhook_url") != home+"/webhook/github" || !slices.Equal(u.Query()["events[]"], github.Events()) {
		t.Errorf("%s, %v", link, err)
	}
	for _, wrong := range []string{"", "gatekeeper.example.com", "ftp://x"} {
		if _, err := github.Manifest(wrong, "Gatekeeper"); gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidRequest {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

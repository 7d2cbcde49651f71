package githubbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// hooks is where webhooks go.
type hooks struct {
	url, secret string
	lost        bool
}

// answerWithin is how long GitHub waits for a delivery's answer.
const answerWithin = 10 * time.Second

// Webhooks says where webhooks go and what signs them.
func (g *GitHub) Webhooks(url, secret string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hooks.url, g.hooks.secret, g.app.WebhookURL = url, secret, url
}

// Lose makes webhooks get lost, or arrive again.
func (g *GitHub) Lose(lost bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hooks.lost = lost
}

// Send delivers a webhook once, as GitHub does: a failure is not repeated.
// The delivery id is made up where it is "".
func (g *GitHub) Send(ctx context.Context, event, delivery string, payload []byte) (status int, err error) {
	g.mu.Lock()
	h := g.hooks
	g.mu.Unlock()
	if h.lost || h.url == "" {
		return 0, errors.New("githubbox: the webhook got lost")
	}
	if delivery == "" {
		delivery = strings.ToLower(rand.Text())
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(h.secret))
	mac.Write(payload)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "GitHub-Hookshot/0000000")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", delivery)
	r.Header.Set("X-GitHub-Hook-Installation-Target-ID", jsonNumber(AppID))
	r.Header.Set("X-GitHub-Hook-Installation-Target-Type", "integration")
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// Deploy lets a run reach a job with an environment: it waits where the App's
// rule is enabled, and the webhook is sent.
func (g *GitHub) Deploy(ctx context.Context, repository string, run int64, environment string) (status int, err error) {
	g.mu.Lock()
	repo := g.repos[strings.ToLower(repository)]
	r := repo.Runs[run]
	e := repo.Environments[strings.ToLower(environment)]
	if e == nil || !e.Rule {
		g.mu.Unlock()
		return 0, fmt.Errorf("githubbox: no rule of the App protects %s", environment)
	}
	r.Waiting = append(r.Waiting, environment)
	payload, err := json.Marshal(g.protectionPayload(repo, r, environment))
	g.tell()
	g.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return g.Send(ctx, "deployment_protection_rule", "", payload)
}

// protectionPayload is a deployment_protection_rule webhook. Its callback URL
// leads away from GitHub: who follows it is wrong (threats row 42).
func (g *GitHub) protectionPayload(repo *Repository, run *Run, environment string) map[string]any {
	owner, _, _ := strings.Cut(repo.Name, "/")
	return map[string]any{
		"action": "requested", "environment": environment, "event": run.Event,
		"deployment_callback_url": fmt.Sprintf("http://127.0.0.1:9/repos/%s/actions/runs/%d/deployment_protection_rule", repo.Name, run.ID),
		"deployment":              map[string]any{"id": 1, "sha": run.HeadSHA, "ref": run.HeadBranch, "environment": environment, "task": "deploy", "creator": run.Actor},
		"pull_requests":           []any{}, "repository": repo.json(), "sender": run.triggering(),
		"installation": map[string]any{"id": g.owners[strings.ToLower(owner)]}, "organization": map[string]any{"login": owner, "id": repo.OwnerID},
	}
}

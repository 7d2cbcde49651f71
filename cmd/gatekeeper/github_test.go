package main

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

const hookSecret = "sandbox-webhook-secret"

// withGitHub puts GitHub's stand-in on the stage, with the App installed.
func withGitHub(t testing.TB, s *stage) *githubbox.GitHub {
	t.Helper()
	box, err := githubbox.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	s.cfg.GitHub = &githubConfig{AppID: githubbox.AppID, PrivateKey: box.PrivateKey(), WebhookSecret: hookSecret, APIURL: box.URL()}
	return box
}

// hook sends a webhook as GitHub would; it gives the answer's status.
func (s *stage) hook(t testing.TB, secret, id, event, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.cfg.URL+"/webhook/github", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(github.Sign(secret, []byte(body))))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestWebhookIsServed(t *testing.T) {
	p := play(t, func(s *stage) { withGitHub(t, s) })
	for name, c := range map[string]struct {
		secret string
		status int
	}{"signed": {hookSecret, 202}, "forged": {"another", 401}} {
		if got := p.hook(t, c.secret, "delivery-"+name, "ping", `{"zen":"Keep it logically awesome."}`); got != c.status {
			t.Errorf("%s: answered %d, want %d", name, got, c.status)
		}
	}
	without := play(t, nil)
	if got := without.hook(t, hookSecret, "delivery-1", "ping", `{}`); got != http.StatusNotFound {
		t.Errorf("without a configured App: answered %d, want 404", got)
	}
}

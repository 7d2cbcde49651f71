package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// provider is an OpenID provider that others wrote and certified.
func provider(t *testing.T, redirect string) string {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	issuer := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	client := storage.WebClient("gatekeeper", "s3cret", redirect)
	users := storage.NewStorageWithClients(storage.NewUserStore(issuer), map[string]*storage.Client{"gatekeeper": client})
	handler = exampleop.SetupServer(issuer, users, nil, false, op.WithAllowInsecure())
	return issuer
}

var loginForm = regexp.MustCompile(`name="id" value="([^"]+)"`)

// People sign in, and prove an approval, at a provider that we did not write.
func TestRealProvider(t *testing.T) {
	c := &company{}
	c.played = play(t, func(s *stage) {
		s.cfg.URL = strings.Replace(s.cfg.URL, "127.0.0.1", "localhost", 1)
		s.cfg.Issuers[0].Audience = s.cfg.URL
		s.cfg.SSO = &ssoConfig{Issuer: provider(t, s.cfg.URL+"/sign-in/callback"), ClientID: "gatekeeper", ClientSecret: "s3cret"}
		for i := range s.cfg.People {
			if s.cfg.People[i].Slack == "U0BOB" {
				s.cfg.People[i].Email = "test-user@zitadel.ch"
			}
		}
		s.cfg.People = append(s.cfg.People, gatekeeper.PersonEntry{Name: "Eve", Slack: "U0EVE", Subject: "id2"})
		stepUp(t, s, "step_up: sso")
	})
	done := c.step(t, nil)
	id := c.asked(t).Metadata.EventPayload["request_id"].(string)
	bob := c.visitor(t)
	signIn := func(page, username string) (int, string) {
		t.Helper()
		form := loginForm.FindStringSubmatch(page)
		if form == nil {
			t.Fatalf("the provider does not ask who it is:\n%s", page)
		}
		return bob.away(c.cfg.SSO.Issuer+"/login/username", url.Values{"id": {form[1]}, "username": {username}, "password": {"verysecure"}})
	}
	_, page := bob.get("/sign-in/sso?next=/requests/" + id + "/confirm")
	if status, page := signIn(page, "test-user@localhost"); status != http.StatusOK || !strings.Contains(page, "Sign in again and approve") {
		t.Fatalf("%d\n%s", status, page)
	}
	_, page = bob.post("/requests/"+id+"/confirm", url.Values{"choice": {"approve"}})
	if status, page := signIn(page, "test-user2"); status != http.StatusForbidden || !strings.Contains(page, "somebody else") {
		t.Errorf("Eve's sign-in for Bob's approval: %d\n%s", status, page)
	}
	_, page = bob.post("/requests/"+id+"/confirm", url.Values{"choice": {"approve"}})
	if status, page := signIn(page, "test-user@localhost"); status != http.StatusOK || !strings.Contains(page, "fresh sign-in") {
		t.Fatalf("%d\n%s", status, page)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	c.verified(t)
}

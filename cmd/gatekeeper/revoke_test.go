package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// redeemed is a stage on which a job has its credentials, and the request.
func redeemed(t *testing.T, redemptions string) (*played, string) {
	t.Helper()
	p := play(t, func(s *stage) {
		s.rules(strings.Replace(stageRules, "approvers: [slack:S0RELEASE]", "{approvers: [slack:S0RELEASE], redemptions: "+redemptions+"}", 1))
	})
	done := p.step(t, nil)
	m := p.asked(t)
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	return p, m.Metadata.EventPayload["request_id"].(string)
}

// shows waits for a message in the channel that has what is looked for.
func (p *played) shows(t *testing.T, has func(slackbox.Message) bool) slackbox.Message {
	t.Helper()
	m, err := p.slack.WaitMessage(t.Context(), func(m slackbox.Message) bool { return m.Channel == "C0DEPLOYS" && m.Ephemeral == "" && has(m) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// An approver takes back what was handed out: the request stays approved,
// gives nothing more, and message and ledger say what to do where AWS does
// not revoke by itself.
func TestRevokeCredentialsInSlack(t *testing.T) {
	p, id := redeemed(t, "2")
	has := func(label string) func(slackbox.Message) bool {
		return func(m slackbox.Message) bool { _, ok := buttonOf(m, label); return ok }
	}
	m := p.shows(t, has("Revoke credentials"))
	b, _ := buttonOf(m, "Revoke credentials")
	press := func(user string) {
		t.Helper()
		if _, err := p.slack.Click(t.Context(), slackbox.Click{User: user, Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value}); err != nil {
			t.Fatal(err)
		}
	}
	press("U0EVE")
	p.told(t, "U0EVE", "not among the approvers")
	press("U0CAROL")
	m = p.shows(t, func(m slackbox.Message) bool { return strings.Contains(m.Words(), "aws:TokenIssueTime") })
	for _, want := range []string{"Credentials revoked", "U0CAROL", "aws iam put-role-policy --role-name payments-deploy", "not revoked"} {
		if !strings.Contains(m.Words(), want) {
			t.Errorf("the message lacks %q:\n%s", want, m.Words())
		}
	}
	r, err := p.svc.gate.Lookup(t.Context(), id)
	if err != nil || r.State != gatekeeper.Approved || r.TakenBack == nil {
		t.Fatalf("the request is %s, %v", r.State, err)
	}
	token := p.ci.Token(p.cfg.URL, ciissuer.Defaults())
	status, body := p.call(t, http.MethodPost, "/v1/requests/"+id+"/credentials", token, `{"name":"deploy","subject_token":"`+p.ci.Token("sts.amazonaws.com", ciissuer.Defaults())+`"}`)
	if status != http.StatusGone || !strings.Contains(body, "revoked") {
		t.Errorf("redeeming afterwards: %d %s", status, body)
	}
	if got := <-p.step(t, nil); got.code != 1 || !strings.Contains(got.stderr, "revoked") {
		t.Errorf("asking again: exit %d\n%s", got.code, got.stderr)
	}
	path, env := p.configFile(t)
	told := command(t.Context(), env, "audit", "show", "--config", path, id)
	for _, want := range []string{"credential.revocation_requested", "credential.revocation_failed", "aws:TokenIssueTime"} {
		if !strings.Contains(told.stdout, want) {
			t.Errorf("audit show lacks %q: exit %d\n%s%s", want, told.code, told.stdout, told.stderr)
		}
	}
	p.verified(t)
}

// An operator does the same by command, with the service's session key.
func TestRevokeCommand(t *testing.T) {
	p, id := redeemed(t, "1")
	path, env := p.configFile(t)
	got := command(t.Context(), env, "revoke", "--config", path, "--reason", "leaked", id)
	if got.code != 1 || !strings.Contains(got.stdout, "aws iam put-role-policy") || !strings.Contains(got.stderr, "1 of 1 credentials are not revoked") {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if told := p.exported(t); !strings.Contains(told, `"operator"`) || !strings.Contains(told, `"reason":"leaked"`) {
		t.Error("the ledger does not say who asked, and why")
	}
	if m := p.shows(t, func(m slackbox.Message) bool { return strings.Contains(m.Words(), "aws:TokenIssueTime") }); !strings.Contains(m.Words(), "an operator, "+operator()) {
		t.Errorf("the message does not say who: %s", m.Words())
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown":      {[]string{"req_x"}, 1, "404"},
		"no request":   {nil, 2, "takes one request"},
		"other things": {[]string{"--help-me"}, 2, "help-me"},
	} {
		if got := command(t.Context(), env, append([]string{"revoke", "--config", path}, c.args...)...); got.code != c.code || !strings.Contains(got.stderr, c.says) {
			t.Errorf("%s: exit %d\n%s", name, got.code, got.stderr)
		}
	}
	other := filepath.Join(t.TempDir(), "other.key")
	if _, err := loadOrCreateSecret(other); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(body, "session_key_file: "+other+"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := command(t.Context(), env, "revoke", "--config", path, id); got.code != 1 || !strings.Contains(got.stderr, "session key") {
		t.Errorf("with another key: exit %d\n%s", got.code, got.stderr)
	}
}

// An approval that nobody redeemed is revoked whole.
func TestRevokeCommandBeforeRedemption(t *testing.T) {
	p := play(t, nil)
	_, body := p.call(t, http.MethodPost, "/v1/requests", p.ci.Token(p.cfg.URL, ciissuer.Defaults()), `{"environment":"production"}`)
	m := p.asked(t)
	id := m.Metadata.EventPayload["request_id"].(string)
	path, env := p.configFile(t)
	if got := command(t.Context(), env, "revoke", "--config", path, id); got.code != 1 || !strings.Contains(got.stderr, "no credentials were handed out") {
		t.Fatalf("pending: exit %d\n%s%s", got.code, got.stderr, body)
	}
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	p.shows(t, func(m slackbox.Message) bool { _, ok := buttonOf(m, "Revoke"); return ok })
	if got := command(t.Context(), env, "revoke", "--config", path, id); got.code != 0 || !strings.Contains(got.stdout, "The approval is revoked") {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if r, err := p.svc.gate.Lookup(t.Context(), id); err != nil || r.State != gatekeeper.Revoked {
		t.Errorf("the request is %s, %v", r.State, err)
	}
	p.verified(t)
}

// Orders hold for a minute, for the key and the purpose they were sealed for.
func TestOrders(t *testing.T) {
	secret := []byte(strings.Repeat("k", 32))
	sealed, err := sealOrder(secret, order{Do: "revoke", Request: "req_1"})
	if err != nil {
		t.Fatal(err)
	}
	o, err := openOrder(secret, sealed, time.Now())
	if err != nil || o.Request != "req_1" {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"late":      second(openOrder(secret, sealed, time.Now().Add(2*orderTime))),
		"other key": second(openOrder([]byte("other"), sealed, time.Now())),
		"no key":    second(openOrder(nil, sealed, time.Now())),
		"changed":   second(openOrder(secret, []byte(strings.Replace(string(sealed), `"order":"ey`, `"order":"eY`, 1)), time.Now())),
		"nothing":   second(openOrder(secret, nil, time.Now())),
	} {
		if gatekeeper.CodeOf(err) != gatekeeper.CodeAccessDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ order, err error) error { return err }

// Where the cloud revokes, the credential is dead when the command ends, even
// if the cloud was out of reach at first; where it does not, the command says
// what to do.
func TestRevokeAtTheClouds(t *testing.T) {
	t.Parallel() // it mostly waits
	var clouds sky
	p := play(t, func(s *stage) { clouds = rise(t, s) })
	got := p.approvedStep(t)
	id := p.shows(t, func(m slackbox.Message) bool { return m.Metadata.EventPayload["request_id"] != nil }).Metadata.EventPayload["request_id"].(string)
	path, env := p.skyFile(t)
	clouds.vault.Seal(true)
	done := make(chan outcomeOf, 1)
	go func() { done <- command(t.Context(), env, "revoke", "--config", path, id) }()
	p.log.until(t, "could not be revoked yet", 1)
	clouds.vault.Seal(false)
	told := <-done
	if told.code != 1 || !strings.Contains(told.stderr, "4 of 6 credentials are not revoked") {
		t.Errorf("exit %d\n%s%s", told.code, told.stdout, told.stderr)
	}
	if clouds.vault.Alive(got["vault"].Vault.Token) || clouds.hub.Alive(got["github"].GitHub.Token) {
		t.Error("Vault's or GitHub's token lives on")
	}
	for _, want := range []string{"aws iam put-role-policy", "gcloud iam service-accounts disable " + cloudAccount, "az role assignment delete", "vault (", "Vault revoked the token"} {
		if !strings.Contains(told.stdout, want) {
			t.Errorf("the command does not say %q:\n%s", want, told.stdout)
		}
	}
	if n := p.recorded(t, gatekeeper.EventCredentialRevoked); n != 2 {
		t.Errorf("%d credentials are recorded as revoked, want 2", n)
	}
	p.noSecrets(t, got["vault"].Vault.Token, got["github"].GitHub.Token)
	p.verified(t)
}

// Credentials that are revoked while the cloud is still asked for them are
// not handed out, and are revoked as soon as they are known.
func TestRevokeCredentialsDuringTheExchange(t *testing.T) {
	var h *held
	p := play(t, func(s *stage) {
		h = hold(t, s.sts)
		s.cfg.Clouds.STSEndpoint = h.server.URL
	})
	done := p.step(t, nil)
	m := p.asked(t)
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	<-h.asked
	id := m.Metadata.EventPayload["request_id"].(string)
	if _, err := p.svc.gate.TakeBack(t.Context(), id, gatekeeper.Actor{Kind: "operator", ID: "root"}, "leaked"); err != nil {
		t.Fatal(err)
	}
	close(h.letGo)
	if got := <-done; got.code != 1 || !strings.Contains(got.stderr, "revoked while this one was obtained") || strings.Contains(got.stdout, "AWS_") {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	p.shows(t, func(m slackbox.Message) bool { return strings.Contains(m.Words(), "aws:TokenIssueTime") })
	if n := p.recorded(t, gatekeeper.EventRevocationFailed); n != 1 || len(p.sts.Sessions()) != 1 {
		t.Errorf("%d revocations are recorded for %d sessions", n, len(p.sts.Sessions()))
	}
	p.verified(t)
}

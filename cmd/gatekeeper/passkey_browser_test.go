package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chromium"
	_ "modernc.org/sqlite"
)

// authenticator is a key that Chromium plays, with the person's finger on it.
type authenticator struct {
	ctx context.Context
	id  webauthn.AuthenticatorID
}

func plugIn(t *testing.T, ctx context.Context) authenticator {
	t.Helper()
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	added, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return authenticator{ctx, added.AuthenticatorID}
}

// verified sets whether the person's finger is known to the key.
func (a authenticator) verified(t *testing.T, yes bool) {
	t.Helper()
	_, err := chromedp.Call(a.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: yes})
	if err != nil {
		t.Fatal(err)
	}
}

// badUV makes the key claim in its answer that nobody was verified.
func (a authenticator) badUV(t *testing.T, yes bool) {
	t.Helper()
	_, err := chromedp.Call(a.ctx, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: a.id, IsBadUV: &yes})
	if err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		body, _ := chromedp.Run(ctx, chromedp.TextContent("body"))
		t.Fatalf("%v, looking at:\n%s", err, body)
	}
}

// Bob adds a passkey by an admin's link, is refused without his finger, and
// approves with it; the ledger verifies, and a changed byte of what he signed
// is found.
func TestPasskeyInTheBrowser(t *testing.T) {
	t.Parallel() // it mostly waits
	c := open(t, "step_up: passkey")
	done := c.step(t, nil, "--reason", "Release 1.2: new checkout")
	m := c.asked(t)
	id := m.Metadata.EventPayload["request_id"].(string)
	path, env := c.configFile(t)
	link := command(t.Context(), env, "passkeys", "link", "--config", path, "--person", "U0BOB")
	if link.code != 0 {
		t.Fatalf("exit %d\n%s", link.code, link.stderr)
	}
	ctx := chromium.Start(t)
	key := plugIn(t, ctx)

	look(t, ctx, chromedp.Navigate(strings.TrimSpace(link.stdout)), chromedp.WaitVisible("form[data-passkey=enrol]"))
	chromium.Shot(ctx, t, "passkeys")
	look(t, ctx, chromedp.SendKeys("input[name=label]", "Bob's laptop"), chromedp.Click("form[data-passkey=enrol] button"),
		chromedp.WaitVisible("form[action='/passkeys/revoke'] button"))

	page := c.cfg.URL + "/requests/" + id + "/confirm"
	look(t, ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile), chromedp.Navigate(page), chromedp.WaitVisible("form[data-passkey=approve]"))
	chromium.Shot(ctx, t, "confirm-phone")
	approve := func(want string) {
		t.Helper()
		look(t, ctx, chromedp.Navigate(page), chromedp.Click("form[data-passkey=approve] button"), chromedp.WaitVisible(".problem[role=alert]"))
		if text, err := chromedp.Run(ctx, chromedp.TextContent(".problem[role=alert]")); err != nil || !strings.Contains(text, want) {
			t.Fatalf("the page says %q, %v; want %q", text, err, want)
		}
	}
	key.verified(t, false)
	approve("did not answer")
	key.verified(t, true)
	key.badUV(t, true)
	approve("the signature does not hold")
	key.badUV(t, false)
	if r, err := c.svc.gate.Lookup(t.Context(), id); err != nil || len(r.Votes) != 0 {
		t.Fatalf("votes %v, %v", r.Votes, err)
	}

	look(t, ctx, chromedp.Navigate(page), chromedp.Click("form[data-passkey=approve] button"), chromedp.WaitVisible(".votes .yes .proof"))
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	chromium.Shot(ctx, t, "request-phone")
	look(t, ctx, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(c.cfg.URL+"/requests/"+id), chromedp.WaitVisible(".story"))
	chromium.Shot(ctx, t, "request")
	for _, name := range []string{"requests", "insights", "rules", "passkeys"} {
		look(t, ctx, chromedp.Navigate(c.cfg.URL+"/"+name), chromedp.WaitVisible("main h1"))
		chromium.Shot(ctx, t, "page-"+name)
	}
	c.verified(t)
	c.signInAgain(t, ctx)
	c.changedEvidence(t)
}

// signInAgain comes in by the key alone.
func (c *company) signInAgain(t *testing.T, ctx context.Context) {
	t.Helper()
	look(t, ctx, chromedp.Click(".me button"), chromedp.WaitVisible("[data-passkey=sign-in]"))
	chromium.Shot(ctx, t, "sign-in")
	look(t, ctx, chromedp.Click("[data-passkey=sign-in]"), chromedp.WaitVisible("#mine"))
	path, env := c.configFile(t)
	list := command(t.Context(), env, "passkeys", "list", "--config", path, "--person", "U0BOB")
	if list.code != 0 || !strings.Contains(list.stdout, "Bob's laptop") || !strings.Contains(list.stdout, "active") {
		t.Fatalf("exit %d\n%s%s", list.code, list.stdout, list.stderr)
	}
	key, _, _ := strings.Cut(list.stdout, " ")
	if got := command(t.Context(), env, "passkeys", "revoke", "--config", path, "--person", "U0BOB", "--key", key); got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	look(t, ctx, chromedp.Click(".me button"), chromedp.WaitVisible("[data-passkey=sign-in]"), chromedp.Click("[data-passkey=sign-in]"), chromedp.WaitVisible(".problem[role=alert]"))
}

// changedEvidence changes single bytes of the stored assertion, behind the
// gatekeeper's back.
func (c *company) changedEvidence(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+c.cfg.Database+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var index int64
	var body []byte
	if err := db.QueryRowContext(t.Context(), `SELECT idx, body FROM ledger_events WHERE type = 'vote.counted'`).Scan(&index, &body); err != nil {
		t.Fatal(err)
	}
	var e struct {
		Data struct {
			Evidence struct {
				Assertion struct {
					Response map[string]string
				}
			}
		}
	}
	if err := json.Unmarshal(body, &e); err != nil || len(e.Data.Evidence.Assertion.Response) != 3 {
		t.Fatalf("%v\n%s", err, body)
	}
	path, env := c.configFile(t)
	for name, value := range e.Data.Evidence.Assertion.Response {
		at := bytes.Index(body, []byte(value)) + len(value)/2
		changed := bytes.Clone(body)
		changed[at] = map[bool]byte{true: 'B', false: 'A'}[changed[at] == 'A']
		if _, err := db.ExecContext(t.Context(), `UPDATE ledger_events SET body = ? WHERE idx = ?`, changed, index); err != nil {
			t.Fatal(err)
		}
		got := command(t.Context(), env, "audit", "verify", "--config", path)
		if got.code != 1 || !strings.Contains(got.stderr, fmt.Sprintf("event %d ", index)) {
			t.Errorf("a changed %s is not found: exit %d\n%s%s", name, got.code, got.stdout, got.stderr)
		}
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE ledger_events SET body = ? WHERE idx = ?`, body, index); err != nil {
		t.Fatal(err)
	}
	c.verified(t)
}

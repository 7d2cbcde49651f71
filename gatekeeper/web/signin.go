package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/oauth2"
)

// ceremony is what waits in a cookie while a person is at the provider or at
// their passkey. Each use of it ends it.
type ceremony struct {
	Flow      flow
	Next      string
	Passkey   []byte                // the session of an enrolment or a sign-in
	Statement *gatekeeper.Statement // a fresh sign-in that shall approve; nil: one that lets in
}

func (p *pages) signIn(w http.ResponseWriter, r *http.Request) {
	if s, ok := cookie[session](p, r, cookieSession); ok && s.Via != "link" && p.known(s.Slack) {
		http.Redirect(w, r, next(r.URL.Query().Get("next")), http.StatusSeeOther) //nolint:gosec // a path of ours
		return
	}
	p.views.show(w, http.StatusOK, "signin", view{Title: "Sign in", Body: struct {
		Next         string
		SSO, Passkey bool
	}{next(r.URL.Query().Get("next")), p.SSO != nil, p.Keys != nil}})
}

// toSSO leads to the company's sign-in.
func (p *pages) toSSO(w http.ResponseWriter, r *http.Request) {
	c := ceremony{Next: next(r.URL.Query().Get("next")), Flow: p.flow(rand.Text())}
	c.Flow.Fresh = r.URL.Query().Get("fresh") != ""
	p.leave(w, r, c)
}

func (p *pages) flow(nonce string) flow {
	return flow{State: rand.Text(), Nonce: nonce, Verifier: oauth2.GenerateVerifier(), Began: p.Now().UTC()}
}

// leave keeps the ceremony and goes to the provider.
func (p *pages) leave(w http.ResponseWriter, r *http.Request, c ceremony) {
	if p.SSO == nil {
		p.fail(w, r, gatekeeper.Errorf(gatekeeper.CodeNotFound, "no company sign-in is configured (sso in gatekeeper.yaml)"))
		return
	}
	at, err := p.SSO.begin(r.Context(), c.Flow)
	if err == nil {
		err = keepCookie(p, w, cookieCeremony, c, ceremonyTime)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	http.Redirect(w, r, at, http.StatusSeeOther)
}

// fromSSO is where the provider sends people back to: to come in, or to have
// their fresh sign-in counted as a proof.
func (p *pages) fromSSO(w http.ResponseWriter, r *http.Request) {
	c, ok := cookie[ceremony](p, r, cookieCeremony)
	p.dropCookie(w, cookieCeremony)
	q := r.URL.Query()
	switch {
	case !ok || c.Flow.State == "" || q.Get("state") != c.Flow.State:
		p.fail(w, r, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "this sign-in was not begun in this browser, or took too long; begin again"))
		return
	case q.Get("error") != "":
		p.fail(w, r, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the company's sign-in did not go through; begin again"))
		return
	}
	id, err := p.SSO.finish(r.Context(), c.Flow, q.Get("code"))
	if err != nil {
		p.fail(w, r, err)
		return
	}
	person, ok := p.People.BySubject(id.Subject, id.Email)
	switch {
	case !ok:
		err = p.turnedAway(r.Context(), "", "signed in at "+id.Issuer+" as somebody who is not among people: subject "+id.Subject)
	case c.Statement != nil:
		p.proven(w, r, c, id, person)
		return
	default:
		err = p.enter(r.Context(), w, session{Slack: person.Slack, Name: person.Name, Via: "sso", At: p.Now().UTC()})
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	http.Redirect(w, r, c.Next, http.StatusSeeOther)
}

// signInOptions is what the browser is asked for a sign-in by passkey.
func (p *pages) signInOptions(w http.ResponseWriter, r *http.Request) {
	if p.Keys == nil {
		p.failScript(w, r, gatekeeper.Errorf(gatekeeper.CodeNotFound, "there are no passkeys here"))
		return
	}
	options, begun, err := p.Keys.BeginSignIn()
	if err == nil {
		err = keepCookie(p, w, cookieCeremony, ceremony{Passkey: begun}, ceremonyTime)
	}
	p.script(w, r, rawJSON(options), err)
}

func (p *pages) signInByPasskey(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Next     string  `json:"next"`
		Response rawJSON `json:"response"`
	}
	c, ok := cookie[ceremony](p, r, cookieCeremony)
	p.dropCookie(w, cookieCeremony)
	err := read(r, &in)
	switch {
	case err != nil:
	case p.Keys == nil || !ok || c.Passkey == nil:
		err = gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "this sign-in was not begun in this browser, or took too long; begin again")
	default:
		err = p.enterByPasskey(w, r, c, in.Response)
	}
	p.script(w, r, map[string]string{"location": next(in.Next)}, err)
}

func (p *pages) enterByPasskey(w http.ResponseWriter, r *http.Request, c ceremony, response []byte) error {
	slack, err := p.Keys.FinishSignIn(r.Context(), c.Passkey, response)
	if err != nil {
		return err
	}
	e, _ := p.People.BySlack(slack)
	return p.enter(r.Context(), w, session{Slack: slack, Name: e.Name, Via: "passkey", At: p.Now().UTC()})
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

package web

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// confirm is the page that a step_up rule leads to: what is approved, as we
// render it and not Slack, and the one button that proves it.
func (p *pages) confirm(w http.ResponseWriter, r *http.Request, s session) error {
	return p.showRequest(w, r, s, "confirm")
}

// vote counts a click on a page, which is worth as much as one in Slack.
func (p *pages) vote(w http.ResponseWriter, r *http.Request, s session) error {
	v, err := p.voteOf(r, s)
	if err != nil {
		return err
	}
	v.Via = "web.page"
	voted, err := p.Gate.Vote(r.Context(), r.PathValue("id"), v)
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/requests/"+voted.ID, http.StatusSeeOther)
	return nil
}

// voteOf reads a form's choice and reason.
func (p *pages) voteOf(r *http.Request, s session) (gatekeeper.Vote, error) {
	if err := r.ParseForm(); err != nil {
		return gatekeeper.Vote{}, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the form cannot be read; load the page again")
	}
	return checked(gatekeeper.Vote{
		Person: s.person(), Choice: gatekeeper.Choice(r.PostForm.Get("choice")), Reason: r.PostForm.Get("reason"),
		BreakGlass: r.PostForm.Get("break_glass") != "",
	})
}

// maxReason is what a person may say, as in Slack's form.
const maxReason = 1000

func checked(v gatekeeper.Vote) (gatekeeper.Vote, error) {
	switch {
	case !slices.Contains([]gatekeeper.Choice{gatekeeper.Approve, gatekeeper.Deny, gatekeeper.Revoke, gatekeeper.RevokeCredentials}, v.Choice):
		return v, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "say whether you approve or deny")
	case len([]rune(v.Reason)) > maxReason:
		return v, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the reason has at most %d characters", maxReason)
	case v.Choice == gatekeeper.Deny && v.Reason == "":
		return v, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "say why you deny it; the one who waits is told")
	}
	return v, nil
}

// proofOptions makes the statement that the person is about to sign.
func (p *pages) proofOptions(w http.ResponseWriter, r *http.Request, s session) error {
	s1, err := p.statement(r, s, func(v *gatekeeper.Vote) error {
		var in struct {
			Reason     string `json:"reason"`
			BreakGlass bool   `json:"break_glass"`
		}
		err := read(r, &in)
		v.Reason, v.BreakGlass = in.Reason, in.BreakGlass
		return err
	})
	var options []byte
	if err == nil && p.Keys == nil {
		err = gatekeeper.Errorf(gatekeeper.CodeNotFound, "there are no passkeys here")
	}
	if err == nil {
		options, err = p.Keys.BeginProof(r.Context(), s1)
	}
	if err == nil {
		err = keepCookie(p, w, cookieCeremony, ceremony{Statement: &s1}, ceremonyTime)
	}
	p.script(w, r, rawJSON(options), err)
	return nil
}

// statement says what this person approves, of the request as it is now.
func (p *pages) statement(r *http.Request, s session, fill func(*gatekeeper.Vote) error) (gatekeeper.Statement, error) {
	v := gatekeeper.Vote{Person: s.person(), Choice: gatekeeper.Approve}
	if err := fill(&v); err != nil {
		return gatekeeper.Statement{}, err
	}
	if _, err := checked(v); err != nil {
		return gatekeeper.Statement{}, err
	}
	found, err := p.Gate.Lookup(r.Context(), r.PathValue("id"))
	if err != nil {
		return gatekeeper.Statement{}, err
	}
	return gatekeeper.StatementOf(p.URL, found, v, p.Now(), rand.Text()), nil
}

// confirmByPasskey counts a vote that a passkey signed.
func (p *pages) confirmByPasskey(w http.ResponseWriter, r *http.Request, s session) error {
	c, ok := cookie[ceremony](p, r, cookieCeremony)
	p.dropCookie(w, cookieCeremony)
	err := p.signed(r, s, c, ok)
	p.script(w, r, map[string]string{"location": "/requests/" + r.PathValue("id")}, err)
	return nil
}

// signed checks that the answer is to what this browser was asked to sign.
func (p *pages) signed(r *http.Request, s session, c ceremony, ok bool) error {
	var in struct {
		Response rawJSON `json:"response"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	if !ok || c.Statement == nil || c.Statement.Person != s.Slack || c.Statement.Request != r.PathValue("id") {
		return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "nothing was waiting for your signature in this browser; begin again")
	}
	return p.countSigned(r, s, *c.Statement, in.Response)
}

func (p *pages) countSigned(r *http.Request, s session, said gatekeeper.Statement, response []byte) error {
	evidence, err := p.Keys.FinishProof(r.Context(), said, response)
	if err != nil {
		return err
	}
	v := voteSaying(said, s.person())
	v.Proof, v.Evidence, v.Via = gatekeeper.StepUpPasskey, evidence.JSON(), "web.passkey"
	return p.countProven(r, said, v)
}

// countProven counts what was proven, if the request still is what the
// person saw.
func (p *pages) countProven(r *http.Request, said gatekeeper.Statement, v gatekeeper.Vote) error {
	found, err := p.Gate.Lookup(r.Context(), said.Request)
	if err != nil {
		return err
	}
	if !said.Says(found, v) {
		return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the request changed meanwhile; look at it again")
	}
	_, err = p.Gate.Vote(r.Context(), said.Request, v)
	return err
}

func voteSaying(s gatekeeper.Statement, who gatekeeper.Person) gatekeeper.Vote {
	return gatekeeper.Vote{Person: who, Choice: s.Decision, Reason: s.Reason, BreakGlass: s.BreakGlass}
}

// confirmBySSO leads to a fresh sign-in whose nonce is the statement's
// challenge, so that the provider's answer is about this very approval.
func (p *pages) confirmBySSO(w http.ResponseWriter, r *http.Request, s session) error {
	said, err := p.statement(r, s, func(v *gatekeeper.Vote) error {
		in, err := p.voteOf(r, s)
		v.Reason, v.BreakGlass = in.Reason, in.BreakGlass
		return err
	})
	if err != nil {
		return err
	}
	found, err := p.Gate.Lookup(r.Context(), said.Request)
	if err != nil {
		return err
	}
	c := ceremony{Statement: &said, Next: "/requests/" + said.Request, Flow: p.flow(base64.RawURLEncoding.EncodeToString(said.Challenge()))}
	c.Flow.Fresh, c.Flow.ACR = true, found.Rule.Approval.ACR
	p.leave(w, r, c)
	return nil
}

// ssoEvidence is what stays of a fresh sign-in: the token itself is not kept.
type ssoEvidence struct {
	Type      gatekeeper.StepUp `json:"type"` // sso
	Issuer    string            `json:"issuer"`
	Subject   string            `json:"subject"`
	AuthTime  time.Time         `json:"auth_time"`
	ACR       string            `json:"acr,omitempty"`
	Nonce     string            `json:"nonce"` // the SHA-256 of the statement, in base64url
	Statement string            `json:"statement"`
	TokenHash string            `json:"id_token_sha256"`
}

// proven counts an approval that a fresh sign-in proves.
func (p *pages) proven(w http.ResponseWriter, r *http.Request, c ceremony, id identity, who gatekeeper.PersonEntry) {
	said := *c.Statement
	s, ok := cookie[session](p, r, cookieSession)
	if !ok || s.Slack != said.Person || who.Slack != said.Person {
		p.fail(w, r, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "you signed in as somebody else than who wants to approve; nothing was counted"))
		return
	}
	body, err := json.Marshal(ssoEvidence{gatekeeper.StepUpSSO, id.Issuer, id.Subject, id.AuthTime, id.ACR, c.Flow.Nonce, string(said.Canonical()), id.TokenHash})
	if err == nil {
		v := voteSaying(said, s.person())
		v.Proof, v.ACR, v.Evidence, v.Via = gatekeeper.StepUpSSO, id.ACR, body, "web.sso"
		err = p.countProven(r, said, v)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	http.Redirect(w, r, c.Next, http.StatusSeeOther)
}

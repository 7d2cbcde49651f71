package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/passkey"
)

// noteOnce remembers one-time links that were used.
const noteOnce = "web.once"

// enrolling is for the page of one's own keys: for people who are signed in,
// and for who came by an admin's one-time link, who can do nothing else.
func (p *pages) enrolling(do handler) http.Handler {
	in := p.signedIn(do)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := r.URL.Query().Get("link"); text != "" {
			p.byLink(w, r, text)
			return
		}
		s, ok := cookie[session](p, r, cookieSession)
		if ok && s.Via == "link" && p.known(s.Slack) {
			p.run(w, r, s, do)
			return
		}
		in.ServeHTTP(w, r)
	})
}

// byLink begins the enrolment that an admin allowed. The link is used up by
// the key, not by looking: previews of links look, too.
func (p *pages) byLink(w http.ResponseWriter, r *http.Request, text string) {
	link, ok := unseal[Link](p.seal, purposeLink, text)
	if !ok || link.Do != LinkEnrol || !p.known(link.Person) {
		p.fail(w, r, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "this link is not valid, or older than an hour; ask for another one"))
		return
	}
	e, _ := p.People.BySlack(link.Person)
	s := session{Slack: link.Person, Name: e.Name, Via: "link", At: p.Now().UTC(), Once: link.Once}
	if err := keepCookie(p, w, cookieSession, s, linkTime); err != nil {
		p.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/passkeys", http.StatusSeeOther)
}

func (p *pages) passkeys(w http.ResponseWriter, r *http.Request, s session) error {
	if p.Keys == nil {
		return gatekeeper.Errorf(gatekeeper.CodeNotFound, "there are no passkeys here: the gatekeeper's url has no host name")
	}
	keys, err := p.Keys.Of(r.Context(), s.Slack)
	if err != nil {
		return err
	}
	p.views.show(w, http.StatusOK, "passkeys", view{Title: "Your passkeys", Me: s, At: "passkeys", Body: struct {
		Keys  []passkey.Key
		Fresh bool
		Again string
	}{keys, p.fresh(s), "/sign-in/sso?" + url.Values{"fresh": {"1"}, "next": {"/passkeys"}}.Encode()}})
	return nil
}

// fresh says whether the person proved themselves just now.
func (p *pages) fresh(s session) bool { return p.Now().Sub(s.At) < freshTime }

func (p *pages) enrolOptions(w http.ResponseWriter, r *http.Request, s session) error {
	options, begun, err := p.beginEnrolment(r, s)
	if err == nil {
		err = keepCookie(p, w, cookieCeremony, ceremony{Passkey: begun}, ceremonyTime)
	}
	p.script(w, r, rawJSON(options), err)
	return nil
}

func (p *pages) beginEnrolment(r *http.Request, s session) (options, begun []byte, err error) {
	switch {
	case p.Keys == nil:
		return nil, nil, gatekeeper.Errorf(gatekeeper.CodeNotFound, "there are no passkeys here")
	case !p.fresh(s):
		return nil, nil, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "sign in anew before you add a passkey")
	}
	if err := p.unused(r, s); err != nil {
		return nil, nil, err
	}
	return p.Keys.BeginEnrolment(r.Context(), s.person())
}

func (p *pages) unused(r *http.Request, s session) error {
	if s.Via != "link" {
		return nil
	}
	used, err := p.Books.Note(r.Context(), noteOnce, s.Once)
	if err == nil && used != nil {
		err = gatekeeper.Errorf(gatekeeper.CodeExpired, "this link was used already; ask for another one")
	}
	return err
}

func (p *pages) enrol(w http.ResponseWriter, r *http.Request, s session) error {
	var in struct {
		Label    string  `json:"label"`
		Response rawJSON `json:"response"`
	}
	c, ok := cookie[ceremony](p, r, cookieCeremony)
	p.dropCookie(w, cookieCeremony)
	err := read(r, &in)
	if err == nil && (!ok || c.Passkey == nil || p.Keys == nil) {
		err = gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "this enrolment was not begun in this browser, or took too long; begin again")
	}
	if err == nil {
		err = p.keepKey(w, r, s, c, in.Label, in.Response)
	}
	p.script(w, r, map[string]string{"location": "/passkeys"}, err)
	return nil
}

// keepKey uses the link up first: of two browsers with one link, one enrols.
func (p *pages) keepKey(w http.ResponseWriter, r *http.Request, s session, c ceremony, label string, response []byte) error {
	if s.Via == "link" {
		if err := p.unused(r, s); err != nil {
			return err
		}
		once := gatekeeper.Note{Kind: noteOnce, Key: s.Once, Value: []byte(s.Slack)}
		if err := p.Books.Record(r.Context(), gatekeeper.Change{Notes: []gatekeeper.Note{once}}); err != nil {
			return err
		}
	}
	if label = strings.TrimSpace(label); label == "" || len([]rune(label)) > 60 {
		label = "Passkey"
	}
	if _, err := p.Keys.FinishEnrolment(r.Context(), s.person(), s.Via, label, c.Passkey, response); err != nil {
		return err
	}
	if s.Via != "link" {
		return nil
	}
	// Who holds a key of theirs may come in by it from now on.
	return p.enter(r.Context(), w, session{Slack: s.Slack, Name: s.Name, Via: "passkey", At: p.Now().UTC()})
}

func (p *pages) revokeKey(w http.ResponseWriter, r *http.Request, s session) error {
	if err := r.ParseForm(); err != nil || p.Keys == nil {
		return gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the form cannot be read; load the page again")
	}
	if err := p.Keys.Revoke(r.Context(), s.Slack, r.PostForm.Get("id"), passkey.Self(s.person()), "by its owner"); err != nil {
		return err
	}
	http.Redirect(w, r, "/passkeys", http.StatusSeeOther)
	return nil
}

package web

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// session is who looks at the pages. The zero session is nobody.
type session struct {
	Slack string
	Name  string
	Via   string    // sso, passkey, or link: good for enrolling a key alone
	At    time.Time // when the person proved who they are
	Once  string    // of a link: used up by the enrolment
}

func (s session) person() gatekeeper.Person {
	return gatekeeper.Person{Slack: s.Slack, Name: s.Name}
}

// The purposes of cookies.
const (
	cookieSession  = "session"
	cookieCeremony = "ceremony"
)

// freshTime is how recently a person has to have signed in to enrol a key:
// whoever finds an open browser must not leave theirs behind.
const freshTime = 10 * time.Minute

type handler func(w http.ResponseWriter, r *http.Request, s session) error

// signedIn is for pages that show or decide something. A person who left
// `people` meanwhile is nobody.
func (p *pages) signedIn(do handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ok := cookie[session](p, r, cookieSession)
		if ok && s.Via != "link" && p.known(s.Slack) {
			p.run(w, r, s, do)
			return
		}
		if r.Method != http.MethodGet {
			p.fail(w, r, gatekeeper.Errorf(gatekeeper.CodeInvalidToken, "you are not signed in any more; open the page again"))
			return
		}
		http.Redirect(w, r, "/sign-in?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
	})
}

func (p *pages) run(w http.ResponseWriter, r *http.Request, s session, do handler) {
	if err := do(w, r, s); err != nil {
		p.fail(w, r, err)
	}
}

func (p *pages) known(slack string) bool {
	_, ok := p.People.BySlack(slack)
	return ok
}

// enter begins a session for a person who proved who they are. The look at
// Slack is live: whoever was deactivated there does not come in by here.
func (p *pages) enter(ctx context.Context, w http.ResponseWriter, s session) error {
	standing, err := p.Directory.Standing(ctx, s.person())
	if err != nil {
		return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "Slack cannot say right now whether you still belong here; try again")
	}
	if !p.known(s.Slack) || !standing.Active || standing.Guest || standing.Bot || standing.Foreign {
		return p.turnedAway(ctx, s.Slack, "no active member of the workspace, or not among people in gatekeeper.yaml")
	}
	if s.Name == "" {
		s.Name = standing.Name
	}
	if err := p.record(ctx, gatekeeper.EventPersonSignedIn, s.person(), map[string]any{"via": s.Via}); err != nil {
		return err
	}
	return keepCookie(p, w, cookieSession, s, sessionTime)
}

// turnedAway records who was not let in, and tells them no more than that.
func (p *pages) turnedAway(ctx context.Context, who, why string) error {
	if err := p.record(ctx, gatekeeper.EventPersonRefused, gatekeeper.Person{Slack: who}, map[string]any{"reason": why}); err != nil {
		return err
	}
	return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "you are not among the people of this gatekeeper; ask the platform team to add you to `people` in gatekeeper.yaml")
}

func (p *pages) record(ctx context.Context, t gatekeeper.EventType, who gatekeeper.Person, data map[string]any) error {
	return p.Books.Record(ctx, gatekeeper.Change{Events: []gatekeeper.Event{{
		ID: "evt_" + strings.ToLower(rand.Text()), Type: t, Time: p.Now().UTC(), Data: data,
		Actor: gatekeeper.Actor{Kind: "person", ID: "slack:" + who.Slack, Name: who.Name},
	}}})
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) {
	p.dropCookie(w, cookieSession)
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// Package web is the pages for people: what waits for them, what was decided,
// and the proof beyond a Slack click (step_up). Pages are rendered here and
// work without scripts; only passkeys need one.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/passkey"
)

// Gate is what pages do with requests. gatekeeper.Gate implements it: the
// check of who may decide is the same for all doors (threats row 25).
type Gate interface {
	Lookup(ctx context.Context, id string) (gatekeeper.Request, error)
	Vote(ctx context.Context, id string, v gatekeeper.Vote) (gatekeeper.Request, error)
}

// Books is what pages read and write beside requests.
type Books interface {
	gatekeeper.Finder
	Record(ctx context.Context, c gatekeeper.Change) error
	Note(ctx context.Context, kind, key string) ([]byte, error)
}

// Entry is an event with its place in the ledger, and what it tells in words.
type Entry struct {
	Index int64
	Event gatekeeper.Event
	Text  string
}

// Ledger tells a request's story, in order, and what it is signed under.
type Ledger interface {
	Story(ctx context.Context, request string) ([]Entry, error)
	// Checkpoint is the newest signed one, "" before the first event.
	Checkpoint(ctx context.Context) (string, error)
}

// Options of the pages. Without Keys and SSO nobody can sign in, and the one
// page says to decide in Slack.
type Options struct {
	URL       string // public, without a slash at its end
	Gate      Gate
	Books     Books
	Ledger    Ledger
	Directory gatekeeper.Directory
	People    gatekeeper.People
	Rules     func() RulesInForce
	Keys      *passkey.Keys // nil: no passkeys
	SSO       *SSO          // nil: no company sign-in
	Secret    []byte        // 32 bytes; seals cookies and one-time links
	Logger    *slog.Logger
	Now       func() time.Time // nil: time.Now
}

type pages struct {
	Options
	seal  *sealer
	views views
	hosts string // where forms may lead, beside ourselves
}

// Handler serves /requests, /sign-in, /passkeys, /insights, /rules and
// /assets, and only those.
func Handler(o Options) (http.Handler, error) {
	if o.Keys == nil && o.SSO == nil {
		return secured(http.HandlerFunc(slackOnly), ""), nil
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	seal, err := newSealer(o.Secret, o.Now)
	if err != nil {
		return nil, err
	}
	p := &pages{Options: o, seal: seal, views: parseViews()}
	if o.SSO != nil {
		p.hosts = o.SSO.origin()
	}
	return secured(p.routes(), p.hosts), nil
}

// Paths are where the handler has to be mounted.
func Paths() []string {
	return []string{"/requests", "/requests/", "/sign-in", "/sign-in/", "/sign-out", "/passkeys", "/passkeys/", "/insights", "/rules", "/assets/"}
}

func (p *pages) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /requests", p.signedIn(p.inbox))
	mux.Handle("GET /requests/{id}", p.signedIn(p.request))
	mux.Handle("POST /requests/{id}", p.signedIn(p.vote))
	mux.Handle("GET /requests/{id}/confirm", p.signedIn(p.confirm))
	mux.Handle("POST /requests/{id}/confirm", p.signedIn(p.confirmBySSO))
	mux.Handle("POST /requests/{id}/confirm/options", p.signedIn(p.proofOptions))
	mux.Handle("POST /requests/{id}/confirm/passkey", p.signedIn(p.confirmByPasskey))
	mux.Handle("GET /insights", p.signedIn(p.insights))
	mux.Handle("GET /rules", p.signedIn(p.rulesPage))
	mux.Handle("GET /passkeys", p.enrolling(p.passkeys))
	mux.Handle("POST /passkeys/options", p.enrolling(p.enrolOptions))
	mux.Handle("POST /passkeys", p.enrolling(p.enrol))
	mux.Handle("POST /passkeys/revoke", p.signedIn(p.revokeKey))
	mux.HandleFunc("POST /passkeys/admin", p.admin)
	mux.HandleFunc("GET /sign-in", p.signIn)
	mux.HandleFunc("GET /sign-in/sso", p.toSSO)
	mux.HandleFunc("GET /sign-in/callback", p.fromSSO)
	mux.HandleFunc("POST /sign-in/options", p.signInOptions)
	mux.HandleFunc("POST /sign-in/passkey", p.signInByPasskey)
	mux.HandleFunc("POST /sign-out", p.signOut)
	mux.Handle("GET /assets/", assets())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.fail(w, r, gatekeeper.Errorf(gatekeeper.CodeNotFound, "there is no such page"))
	})
	return mux
}

// next is where a sign-in leads afterwards: a page of ours, never another
// site's (an open redirect would lend our name to it).
func next(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.IsAbs() || u.Host != "" || len(raw) < 2 || raw[0] != '/' || raw[1] == '/' || raw[1] == '\\' {
		return "/requests"
	}
	return u.RequestURI()
}

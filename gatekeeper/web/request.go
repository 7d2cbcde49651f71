package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// requestView is a request as a person sees it.
type requestView struct {
	gatekeeper.Request
	Now      time.Time
	Page     string // its address
	RunURL   string // "" where the token's is none that people should click
	Groups   []groupView
	Approved []gatekeeper.Vote
	Against  *gatekeeper.Vote
	Story    []Entry
	First    int64 // index of its first event
	Last     int64
	Sealed   string // the newest signed checkpoint
	Passkeys int    // of the one who looks
	CanKey   bool   // passkeys are served here
	CanSSO   bool
}

// groupView is a group with those of it who agreed.
type groupView struct {
	gatekeeper.Group
	Missing int
	Emerge  bool // who may break glass
}

// Open says whether people can still decide.
func (v requestView) Open() bool { return v.State == gatekeeper.Pending && v.Now.Before(v.ExpiresAt) }

// Revocable says whether an approval can still be taken back.
func (v requestView) Revocable() bool {
	return v.State == gatekeeper.Approved && !v.Redeemed() && !v.Lapsed(v.Now)
}

// Held says whether credentials were handed out that can be taken back.
func (v requestView) Held() bool { return v.CredentialsRevocable(v.Now) }

// StepUp is the proof that an approval needs, "" when a click is enough.
func (v requestView) StepUp() gatekeeper.StepUp {
	if v.Rule.Approval.StepUp == gatekeeper.StepUpNone {
		return ""
	}
	return v.Rule.Approval.StepUp
}

func (p *pages) request(w http.ResponseWriter, r *http.Request, s session) error {
	return p.showRequest(w, r, s, "request")
}

func (p *pages) showRequest(w http.ResponseWriter, r *http.Request, s session, page string) error {
	v, err := p.viewOf(r.Context(), r.PathValue("id"), s)
	if err != nil {
		return err
	}
	p.views.show(w, http.StatusOK, page, view{Title: v.Workload.Repository + " → " + v.Environment, Me: s, Body: v})
	return nil
}

func (p *pages) viewOf(ctx context.Context, id string, s session) (requestView, error) {
	found, err := p.Gate.Lookup(ctx, id)
	if err != nil {
		return requestView{}, err
	}
	v := requestView{
		Request: found, Now: p.Now(), Page: "/requests/" + found.ID, RunURL: clickable(found.Workload.RunURL),
		Approved: found.ApprovedBy(), Against: found.DeniedBy(), CanKey: p.Keys != nil, CanSSO: p.SSO != nil,
	}
	missing := found.Missing()
	for i, g := range found.Rule.Approval.Groups {
		v.Groups = append(v.Groups, groupView{Group: g, Missing: missing[i]})
	}
	if found.BreakGlass != nil {
		v.Groups = append(v.Groups, groupView{Group: found.BreakGlass.Group, Emerge: true})
	}
	if v.Story, err = p.Ledger.Story(ctx, id); err != nil {
		return v, err
	}
	if n := len(v.Story); n > 0 {
		v.First, v.Last = v.Story[0].Index, v.Story[n-1].Index
	}
	if v.Sealed, err = p.Ledger.Checkpoint(ctx); err != nil || p.Keys == nil {
		return v, err
	}
	keys, err := p.Keys.Of(ctx, s.Slack)
	for _, k := range keys {
		if k.Active() {
			v.Passkeys++
		}
	}
	return v, err
}

// clickable is an address that a page of ours may link to.
func clickable(raw string) string {
	u, err := url.Parse(raw)
	secure := err == nil && (u.Scheme == "https" || u.Scheme == "http" && gatekeeper.Loopback(u.Hostname()))
	if !secure || u.User != nil || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return raw
}

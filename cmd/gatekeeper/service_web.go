package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/passkey"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/web"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/wholefile"
)

// openPages makes the pages for people. Passkeys need a host name, a company
// sign-in needs `sso`; with neither, the one page says to decide in Slack.
func (s *service) openPages(directory gatekeeper.Directory) error {
	o := web.Options{
		URL: s.cfg.URL, Gate: s.gate, Books: s.store, Ledger: pagesLedger{s.store.Reader()}, Directory: directory,
		People: s.cfg.People, Rules: s.rulesInForce, Logger: s.log,
	}
	keys, err := passkey.New(passkey.Options{URL: s.cfg.URL, Store: s.store})
	if err == nil {
		o.Keys = keys
	} else {
		s.log.Info("passkeys are not served", "reason", said(err))
	}
	if c := s.cfg.SSO; c != nil {
		o.SSO = web.NewSSO(web.SSOOptions{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, URL: s.cfg.URL})
	}
	if o.Keys != nil || o.SSO != nil {
		if o.Secret, err = loadOrCreateSecret(s.cfg.SessionKey); err != nil {
			return err
		}
	}
	s.proofs = o.Keys != nil || o.SSO != nil
	s.pages, err = web.Handler(o)
	return err
}

// confirmPage is where a person proves more than a click, "" where nothing
// takes such a proof.
func (s *service) confirmPage(id string) string {
	if !s.proofs {
		return ""
	}
	return s.cfg.URL + "/requests/" + id + "/confirm"
}

// rulesInForce is what the pages show of them.
func (s *service) rulesInForce() web.RulesInForce {
	in := web.RulesInForce{Digest: s.live.Current().Digest(), Source: s.rules.where(), Fault: s.rules.trouble()}
	for _, r := range s.live.Current().List() {
		line := web.RuleLine{Name: r.Name, File: r.File, Line: r.Line, Observe: r.Observe, Environments: r.Environments, Match: r.Match, Approval: r.Words()}
		for _, c := range r.Credentials {
			line.Credentials = append(line.Credentials, c.Name+" ("+c.Type+")")
		}
		in.Rules = append(in.Rules, line)
	}
	return in
}

// pagesLedger reads requests' stories for the pages.
type pagesLedger struct{ *store.Reader }

// Story implements web.Ledger. Of a pruned event its place alone is left.
func (l pagesLedger) Story(ctx context.Context, id string) ([]web.Entry, error) {
	var story []web.Entry
	err := l.Leaves(ctx, 0, id, func(leaf store.Leaf) error {
		entry := web.Entry{Index: leaf.Index, Event: gatekeeper.Event{Type: gatekeeper.EventType(leaf.Type), Time: leaf.Time}}
		if len(leaf.Body) > 0 {
			if err := json.Unmarshal(leaf.Body, &entry.Event); err != nil {
				return gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the ledger holds an event that cannot be read")
			}
			delete(entry.Event.Data, "digest") // the same for each event; it is in the ledger
			entry.Text = ledger.Tell(entry.Event)
		}
		story = append(story, entry)
		return nil
	})
	return story, err
}

// Checkpoint implements web.Ledger.
func (l pagesLedger) Checkpoint(ctx context.Context) (string, error) {
	body, err := l.NewestCheckpoint(ctx)
	return string(body), err
}

// loadOrCreateSecret reads the session key, 32 random bytes in base64, and
// makes it at the first start.
func loadOrCreateSecret(path string) ([]byte, error) {
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh) // never fails
		if err := wholefile.Create(path, []byte(base64.StdEncoding.EncodeToString(fresh)+"\n")); err != nil {
			return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the session key %s cannot be made", path)
		}
		body, err = os.ReadFile(path) // another process may have been first
	}
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the session key %s cannot be read", path)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(body)))
	if err != nil || len(secret) < 32 {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the session key %s has to be at least 32 random bytes in base64, as `openssl rand -base64 32` makes them", path)
	}
	return secret, nil
}

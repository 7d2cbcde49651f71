package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// rulesInForce is what the service knows of its rules beside the set itself.
type rulesInForce struct {
	source  rulesSource
	loading sync.Mutex // one reading at a time
	last    string     // what was last acted upon: a digest of files, or a fault
	pending string     // what was seen once, and is not yet believed

	mu     sync.Mutex
	fault  string // why what the source holds is not in force; "": it is
	commit string // the commit in force, where the source has commits
}

// firstRules have to be right, or the service does not start: those of the
// source, or else the last good ones of a repository.
func (s *service) firstRules(ctx context.Context) error {
	s.rules.source = disk(s.cfg.Rules)
	if at := s.cfg.RulesAt; at != nil {
		if err := s.openGitHub(); err != nil {
			return err
		}
		s.rules.source = repository{github.NewFiles(s.github.client, *at)}
	}
	got, err := s.rules.source.read(ctx)
	if err != nil {
		return s.startFromLastGood(ctx, err)
	}
	set, faults := rules.Parse(got.Files, s.ruleOptions())
	if err := faults.Err(); err != nil {
		return s.startFromLastGood(ctx, fmt.Errorf("the rules have faults:\n%w", err))
	}
	for _, f := range faults {
		s.log.Warn("rules", "fault", f.String())
	}
	s.rules.last = got.digest()
	return s.putInForce(ctx, set, faults, got)
}

func (s *service) ruleOptions() rules.Options {
	var o rules.Options
	for _, i := range s.cfg.Issuers {
		o.Issuers = append(o.Issuers, i.Name)
	}
	return o
}

// watchRules reloads when the source changes.
func (s *service) watchRules(ctx context.Context) {
	again := time.NewTimer(s.rules.wait())
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			_ = s.reload(ctx, false) // told, and tried again
			again.Reset(s.rules.wait())
		}
	}
}

// wait is how long until the source is looked at again: sooner while what it
// holds is not in force.
func (r *rulesInForce) wait() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != "" {
		return min(r.source.every(), faultyEvery)
	}
	return r.source.every()
}

// reload puts what changed in force. A broken set, or none that can be read,
// keeps the rules in force, and is told in the log, in readiness, in metrics
// and in the ledger. now is for people who ask for it. An error is one that
// another try may not have.
func (s *service) reload(ctx context.Context, now bool) error {
	s.rules.loading.Lock()
	defer s.rules.loading.Unlock()
	got, err := s.rules.source.read(ctx)
	seen := got.digest()
	if err != nil {
		seen = "unreadable: " + said(err)
	}
	if seen == s.rules.last && !now {
		s.rules.pending = ""
		s.keepCommit(got, err)
		return err
	}
	if s.rules.source.settles() && !now && seen != s.rules.pending {
		s.rules.pending = seen
		return nil
	}
	s.rules.last, s.rules.pending = seen, ""
	if err != nil {
		s.unread(ctx, err)
		return err
	}
	set, faults := rules.Parse(got.Files, s.ruleOptions())
	if faults.Err() != nil {
		s.rejected(ctx, faults.Errors(), got)
		return nil
	}
	if err := s.putInForce(ctx, set, faults, got); err != nil {
		s.rules.last = "" // not recorded, so not in force: tried again
		s.log.Error("the new rules cannot be recorded, so the old ones stay", "error", err)
		return err
	}
	return nil
}

// keepCommit moves on with commits that changed other files.
func (s *service) keepCommit(got ruleFiles, err error) {
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	if err == nil && s.rules.fault == "" {
		s.rules.commit = got.Commit
	}
}

// putInForce records the rules first: what cannot be recorded does not happen.
func (s *service) putInForce(ctx context.Context, set *rules.Rules, faults conf.Faults, got ruleFiles) error {
	change := gatekeeper.Change{Notes: s.lastGoodNotes(got)}
	old := s.live.Current()
	if old == nil || old.Digest() != set.Digest() {
		change.Events = rulesEvent(gatekeeper.EventRulesLoaded, map[string]any{
			"digest": set.Digest(), "rules": set.Names(), "warnings": len(faults), "source": s.rules.source.String(), "commit": got.Commit,
		})
	}
	if len(change.Events)+len(change.Notes) > 0 {
		if err := s.store.Record(ctx, change); err != nil {
			return err
		}
	}
	s.enforce(set, got, "")
	s.log.Info("rules are in force", "rules", set.Len(), "digest", set.Digest(), "source", s.rules.source.String(), "commit", got.Commit)
	return nil
}

// enforce swaps the set; fault says why it is not what the source holds.
func (s *service) enforce(set *rules.Rules, got ruleFiles, fault string) {
	s.live.Swap(set)
	s.warnUnmet(set)
	s.rules.mu.Lock()
	s.rules.fault, s.rules.commit = fault, got.Commit
	s.rules.mu.Unlock()
	s.metrics.inForce(set, s.rules.source.String(), got.Commit)
	s.metrics.look(outcomeLoaded, fault == "")
}

// rejected is for a source that was read and has faults.
func (s *service) rejected(ctx context.Context, faults conf.Faults, got ruleFiles) {
	s.log.Error("the new rules have faults, so the old ones stay in force", "faults", faults.Error(), "commit", got.Commit)
	s.recordRejected(ctx, strings.Split(faults.Error(), "\n"), got.Commit)
	s.keepOld("the files have faults, older rules are in force: "+faults.Error(), outcomeRejected)
}

// unread is for a source that cannot be read. An outage of GitHub is no event
// of the rules; files that vanished are.
func (s *service) unread(ctx context.Context, err error) {
	s.log.Error("the rules cannot be read, so the old ones stay in force", "source", s.rules.source.String(), "error", err)
	if gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		s.recordRejected(ctx, []string{said(err)}, "")
	}
	s.keepOld("cannot be read, older rules are in force: "+said(err), outcomeUnread)
}

func (s *service) keepOld(fault, outcome string) {
	s.rules.mu.Lock()
	s.rules.fault = fault
	s.rules.mu.Unlock()
	s.metrics.look(outcome, false)
}

func (s *service) recordRejected(ctx context.Context, lines []string, commit string) {
	err := s.store.Record(ctx, gatekeeper.Change{Events: rulesEvent(gatekeeper.EventRulesRejected, map[string]any{
		"in_force": s.live.Current().Digest(), "faults": lines[:min(len(lines), 20)], "source": s.rules.source.String(), "commit": commit,
	})})
	if err != nil {
		s.log.Error("cannot record that rules were rejected", "error", err)
	}
}

func rulesEvent(t gatekeeper.EventType, data map[string]any) []gatekeeper.Event {
	return []gatekeeper.Event{{
		ID: "evt_" + strings.ToLower(rand.Text()), Type: t, Time: time.Now().UTC(),
		Actor: gatekeeper.Actor{Kind: "gatekeeper", ID: "rules"}, Data: data,
	}}
}

// trouble says why what the source holds is not in force; "": it is.
func (r *rulesInForce) trouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// where is the source, with its commit where it has commits.
func (r *rulesInForce) where() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.commit == "" {
		return r.source.String()
	}
	return r.source.String() + " at " + r.commit
}

// rulesDetail is what readiness tells of the rules.
func (s *service) rulesDetail() map[string]string {
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	d := map[string]string{"rules": "ok", "rules_source": s.rules.source.String(), "rules_digest": s.live.Current().Digest()}
	if s.rules.fault != "" {
		d["rules"] = s.rules.fault
	}
	if s.rules.commit != "" {
		d["rules_commit"] = s.rules.commit
	}
	return d
}

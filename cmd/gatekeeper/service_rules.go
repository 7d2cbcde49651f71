package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
)

// rulesEvery is how often the files are looked at. Reading them beats being
// notified: it also sees links that are swapped, as Kubernetes does.
const rulesEvery = 2 * time.Second

// firstRules have to be right, or the service does not start.
func (s *service) firstRules(ctx context.Context) error {
	files, err := rules.Read(s.cfg.Rules)
	if err != nil {
		return err
	}
	set, faults := rules.Parse(files, s.ruleOptions())
	for _, f := range faults {
		s.log.Warn("rules", "fault", f.String())
	}
	if err := faults.Err(); err != nil {
		return fmt.Errorf("the rules have faults:\n%w", err)
	}
	s.lastRules = digestOf(files)
	return s.putInForce(ctx, set, faults)
}

func (s *service) ruleOptions() rules.Options {
	var o rules.Options
	for _, i := range s.cfg.Issuers {
		o.Issuers = append(o.Issuers, i.Name)
	}
	return o
}

// watchRules reloads when the files change.
func (s *service) watchRules(ctx context.Context) {
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.reload(ctx, false)
		}
	}
}

// reload puts changed files in force. A broken set keeps the rules in force,
// and says so in the log, in readiness, in metrics and in the ledger.
func (s *service) reload(ctx context.Context, always bool) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	files, err := rules.Read(s.cfg.Rules)
	seen := digestOf(files)
	if err != nil {
		seen = "unreadable: " + err.Error()
	}
	if seen == s.lastRules && !always {
		return
	}
	s.lastRules = seen
	if err != nil {
		s.rejected(ctx, conf.Faults{{File: s.cfg.Rules, Line: 1, Column: 1, Message: err.Error()}})
		return
	}
	set, faults := rules.Parse(files, s.ruleOptions())
	if faults.Err() != nil {
		s.rejected(ctx, faults.Errors())
		return
	}
	if err := s.putInForce(ctx, set, faults); err != nil {
		s.lastRules = "" // not recorded, so not in force: tried again
		s.log.Error("the new rules cannot be recorded, so the old ones stay", "error", err)
	}
}

// putInForce records the rules first: what cannot be recorded does not happen.
func (s *service) putInForce(ctx context.Context, set *rules.Rules, faults conf.Faults) error {
	old := s.live.Current()
	if old == nil || old.Digest() != set.Digest() {
		err := s.record(ctx, gatekeeper.EventRulesLoaded, map[string]any{
			"digest": set.Digest(), "rules": set.Names(), "warnings": len(faults), "source": s.cfg.Rules,
		})
		if err != nil {
			return err
		}
	}
	s.live.Swap(set)
	s.rulesFault = ""
	s.metrics.rules(set.Len(), true)
	s.log.Info("rules are in force", "rules", set.Len(), "digest", set.Digest())
	return nil
}

func (s *service) rejected(ctx context.Context, faults conf.Faults) {
	s.rulesFault = faults.Error()
	s.metrics.rules(s.live.Current().Len(), false)
	s.log.Error("the new rules have faults, so the old ones stay in force", "faults", faults.Error())
	lines := strings.Split(faults.Error(), "\n")
	if err := s.record(ctx, gatekeeper.EventRulesRejected, map[string]any{
		"in_force": s.live.Current().Digest(), "faults": lines[:min(len(lines), 20)], "source": s.cfg.Rules,
	}); err != nil {
		s.log.Error("cannot record that rules were rejected", "error", err)
	}
}

func (s *service) record(ctx context.Context, t gatekeeper.EventType, data map[string]any) error {
	return s.store.Record(ctx, gatekeeper.Change{Events: []gatekeeper.Event{{
		ID: "evt_" + strings.ToLower(rand.Text()), Type: t, Time: time.Now().UTC(),
		Actor: gatekeeper.Actor{Kind: "gatekeeper", ID: "rules"}, Data: data,
	}}})
}

func digestOf(files []rules.File) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d\n", f.Name, len(f.Body))
		_, _ = h.Write(f.Body)
	}
	return hex.EncodeToString(h.Sum(nil))
}

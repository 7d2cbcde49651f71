package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// still is a service whose rules are looked at only when a test says so.
func still(t *testing.T, change func(*stage)) (*stage, *service) {
	t.Helper()
	s := newStaged(t)
	if change != nil {
		change(s)
	}
	svc, err := newServiceOn(t.Context(), s.cfg, newSilent(), s.ears, s.doors)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(svc.close)
	return s, svc
}

// named are stageRules under another name, so that they are told apart.
func named(name string) string { return strings.Replace(stageRules, "payments-production", name, 1) }

func (s *service) ruleNames() string { return strings.Join(s.live.Current().Names(), " ") }

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// looks at the rules n times, as the clock would.
func (s *service) looks(ctx context.Context, n int) {
	for range n {
		_ = s.reload(ctx, false)
	}
}

// measured is a metric's value, of the series that has the label.
func (s *service) measured(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := s.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || strings.Contains(m.String(), `"`+label+`"`)) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no %s{%s}", name, label)
	return 0
}

// A file that is being written is not believed until it was seen twice alike:
// half of it may be a set of rules as well.
func TestHalfWrittenRules(t *testing.T) {
	_, svc := still(t, nil)
	freeze := "freezes: [{name: f, environments: [production], from: 2026-01-01T00:00:00Z, to: 2027-01-01T00:00:00Z, effect: deny}]\n"
	for _, half := range []string{"", named("second"), named("second") + "freezes: [{name: f,"} {
		put(t, svc.cfg.Rules, half)
		svc.looks(t.Context(), 1)
		if svc.ruleNames() != "payments-production" || svc.rules.trouble() != "" {
			t.Fatalf("half a file was taken: %q, %q", svc.ruleNames(), svc.rules.trouble())
		}
	}
	put(t, svc.cfg.Rules, named("second")+freeze)
	svc.looks(t.Context(), 2)
	if svc.ruleNames() != "second" {
		t.Errorf("the whole file is not in force: %q", svc.ruleNames())
	}
}

// Rules that vanish, and come back, leave those in force where they are, and
// are told in readiness, metrics and the ledger.
func TestVanishedRules(t *testing.T) {
	s, svc := still(t, nil)
	if err := os.Rename(svc.cfg.Rules, svc.cfg.Rules+".away"); err != nil {
		t.Fatal(err)
	}
	svc.looks(t.Context(), 4)
	if d := svc.rulesDetail(); svc.ruleNames() != "payments-production" || !strings.Contains(d["rules"], "cannot be read") {
		t.Fatalf("%q, %v", svc.ruleNames(), d)
	}
	if up, unread := svc.measured(t, "gatekeeper_rules_up_to_date", ""), svc.measured(t, "gatekeeper_rules_loads_total", outcomeUnread); up != 0 || unread != 1 {
		t.Errorf("up to date %v, unread %v times", up, unread)
	}
	if err := os.Rename(svc.cfg.Rules+".away", svc.cfg.Rules); err != nil {
		t.Fatal(err)
	}
	svc.looks(t.Context(), 2)
	if d := svc.rulesDetail(); d["rules"] != "ok" || svc.measured(t, "gatekeeper_rules_up_to_date", "") != 1 {
		t.Errorf("after they came back: %v", d)
	}
	path, env := s.configFile(t)
	if got := command(t.Context(), env, "audit", "export", "--config", path); strings.Count(got.stdout, `"type":"rules.rejected"`) == 0 {
		t.Errorf("the ledger does not tell of it:\n%s%s", got.stdout, got.stderr)
	}
}

// A directory is one set: broken files keep the old one whole, and files are
// read by name.
func TestDirectoryOfRules(t *testing.T) {
	dir := ""
	_, svc := still(t, func(s *stage) {
		dir = filepath.Join(s.dir, "rules")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "b.yaml"), named("second"))
		put(t, filepath.Join(dir, "a.yml"), named("first"))
		put(t, filepath.Join(dir, ".swp.yaml"), "rules: [")
		s.cfg.Rules = dir
	})
	if svc.ruleNames() != "first second" {
		t.Fatalf("got %q", svc.ruleNames())
	}
	put(t, filepath.Join(dir, "c.yaml"), "rules: [{nam: third}]")
	put(t, filepath.Join(dir, "b.yaml"), named("other"))
	svc.looks(t.Context(), 2)
	if d := svc.rulesDetail()["rules"]; svc.ruleNames() != "first second" || !strings.Contains(d, "c.yaml:1:") {
		t.Errorf("a broken file: %q, %q", svc.ruleNames(), d)
	}
	if err := os.Remove(filepath.Join(dir, "c.yaml")); err != nil {
		t.Fatal(err)
	}
	svc.looks(t.Context(), 2)
	if svc.ruleNames() != "first other" {
		t.Errorf("got %q", svc.ruleNames())
	}
}

// Kubernetes mounts a map as a directory of links into a directory that a link
// points to, and swaps that link.
func TestSwappedLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	mount := ""
	version := func(n int, text string) {
		data := filepath.Join(mount, fmt.Sprintf("..2026_%d", n))
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(data, "rules.yaml"), text)
		if err := os.Symlink(filepath.Base(data), filepath.Join(mount, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	_, svc := still(t, func(s *stage) {
		mount = filepath.Join(s.dir, "mounted")
		if err := os.Mkdir(mount, 0o700); err != nil {
			t.Fatal(err)
		}
		version(1, named("first"))
		if err := os.Symlink(filepath.Join("..data", "rules.yaml"), filepath.Join(mount, "rules.yaml")); err != nil {
			t.Fatal(err)
		}
		s.cfg.Rules = mount
	})
	if svc.ruleNames() != "first" {
		t.Fatalf("got %q", svc.ruleNames())
	}
	version(2, named("second"))
	svc.looks(t.Context(), 2)
	if svc.ruleNames() != "second" {
		t.Errorf("after the swap: %q", svc.ruleNames())
	}
}

// `serve` reloads by itself, and at once on SIGHUP.
func TestReloadOfAService(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGHUP there")
	}
	s := newPlainStage(t, stageRules)
	path, env := s.configFile(t)
	ctx, stop := context.WithCancel(t.Context())
	said := &buffer{}
	done := make(chan int, 1)
	go func() {
		done <- run(world{args: []string{"gatekeeper", "serve", "--config", path}, env: func(name string) string { return env[name] }, stdout: said, stderr: said, interrupt: ctx})
	}()
	said.until(t, "msg=serving", 1)
	put(t, s.cfg.Rules, named("second")+strings.TrimPrefix(named("third"), "rules:\n"))
	said.until(t, `msg="rules are in force" rules=2`, 1)
	put(t, s.cfg.Rules, "rules: [")
	if self, err := os.FindProcess(os.Getpid()); err != nil || self.Signal(syscall.SIGHUP) != nil { // syscall.Kill is not everywhere
		t.Fatal("the signal is not sent:", err)
	}
	said.until(t, "so the old ones stay in force", 1)
	for ready := ""; !strings.Contains(ready, "the files have faults, older rules are in force"); {
		if _, ready = s.admin(t, "/readyz"); t.Context().Err() != nil {
			t.Fatalf("readyz: %s", ready)
		}
	}
	if _, body := s.admin(t, "/metrics"); !strings.Contains(body, `gatekeeper_rules_loads_total{outcome="rejected"} 1`) {
		t.Errorf("the metrics do not tell of it:\n%s", body)
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("exit %d\n%s", code, said)
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
)

// keeping is one database's way to be backed up while it is served, and to
// come back after all of it was lost.
type keeping struct {
	process      *process
	backUp, lose func()
	restore      func()
}

func keepSQLite(t *testing.T) keeping {
	sqlite := parts.Find(t, "sqlite3", "apt-get install sqlite3")
	p := newProcess(t, parts.Gatekeeper(t), bobApproves)
	database, copied := filepath.Join(p.dir, "gatekeeper.db"), filepath.Join(t.TempDir(), "backup.db")
	return keeping{
		process: p,
		backUp:  func() { must(t, sqlite, database, ".backup '"+copied+"'") },
		lose: func() {
			files, _ := filepath.Glob(database + "*")
			for _, file := range files {
				_ = os.Remove(file)
			}
		},
		restore: func() {
			if err := os.Rename(copied, database); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func keepPostgres(t *testing.T) keeping {
	pg := postgres.Start(t, postgres.Options{})
	database, other := pg.Database(), pg.Database()
	s := newPlainStage(t, bobApproves)
	p := s.replicas(t, func(int) string { return database }, parts.Gatekeeper(t))[0]
	dump := parts.Find(t, "pg_dump", "apt-get install postgresql-client")
	restore := parts.Find(t, "pg_restore", "apt-get install postgresql-client")
	copied := filepath.Join(t.TempDir(), "backup.dump")
	return keeping{
		process: p,
		backUp:  func() { must(t, dump, "--format=custom", "--no-owner", "--file="+copied, database) },
		lose: func() {
			config, err := os.ReadFile(p.config)
			if err != nil {
				t.Fatal(err)
			}
			config = []byte(strings.Replace(string(config), database, other, 1))
			if err := os.WriteFile(p.config, config, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		restore: func() { must(t, restore, "--no-owner", "--exit-on-error", "--dbname="+other, copied) },
	}
}

func must(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// A back-up that is taken while jobs wait and people click comes back whole:
// its ledger verifies, a checkpoint from outside says that it is older, what
// was pending is pending, and the next job is approved on it (docs/operations.md).
func TestBackUpAndRestore(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, begin := range map[string]func(*testing.T) keeping{"sqlite": keepSQLite, "postgres": keepPostgres} {
		t.Run(name, func(t *testing.T) {
			k := begin(t)
			p := k.process
			p.start()
			p.approvedRun(t, 1)
			waits := p.step(t, runClaims(2), "--audience", p.cfg.URL)
			m := p.askedFor(t, 2)
			k.backUp()
			if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
				t.Fatal(err)
			}
			if got := <-waits; got.code != 0 {
				t.Fatalf("exit %d\n%s", got.code, got.stderr)
			}
			newest := filepath.Join(t.TempDir(), "checkpoint")
			if err := os.WriteFile(newest, []byte(p.audits(t, 0, "checkpoint")), 0o600); err != nil {
				t.Fatal(err)
			}
			p.kill()
			k.lose()
			k.restore()

			p.audits(t, 0, "verify")
			if said := p.audits(t, 1, "verify", "--checkpoint", newest); !strings.Contains(said, "the tail is cut: the checkpoint kept outside covers") {
				t.Errorf("a ledger that is older than its checkpoint: %s", said)
			}
			p.start()
			if types := p.events(t); types["request.opened"] != 2 || types["request.approved"] != 1 {
				t.Errorf("restored were %v", types)
			}
			p.approvedRun(t, 3)
			p.audits(t, 0, "verify")
		})
	}
}

// approvedRun is a job from its question to its credentials.
func (p *process) approvedRun(t *testing.T, run int) {
	t.Helper()
	done := p.step(t, runClaims(run), "--audience", p.cfg.URL)
	if err := p.decide(t.Context(), p.askedFor(t, run), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.stderr, p.log)
	}
}

// audits is what `gatekeeper audit` says, which has to end so.
func (p *process) audits(t *testing.T, code int, args ...string) string {
	t.Helper()
	got := command(t.Context(), slackEnv(), append([]string{"audit", args[0], "--config", p.config}, args[1:]...)...)
	if got.code != code {
		t.Fatalf("audit %v: exit %d, want %d\n%s%s", args, got.code, code, got.stdout, got.stderr)
	}
	return got.stdout + got.stderr
}

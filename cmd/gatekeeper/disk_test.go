package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/jackc/pgx/v5"
)

// smallDisk is a one that can be filled.
type smallDisk struct {
	t   *testing.T
	dir string
}

func newDisk(t *testing.T, megabytes int) *smallDisk {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatekeeper-disk-") // the database's account has to reach it
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0755", megabytes), "gatekeeper-test", dir).CombinedOutput(); err != nil {
		_ = os.Remove(dir)
		parts.Missing(t, fmt.Sprintf("a small disk cannot be mounted here, which takes root and Linux: %s", out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		_ = os.Remove(dir)
	})
	return &smallDisk{t, dir}
}

func (d *smallDisk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill takes the last byte.
func (d *smallDisk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
	if err == nil {
		defer f.Close()
		_, err = io.Copy(f, rand.Reader)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("the disk is not full: %v", err)
	}
}

func (d *smallDisk) free() {
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Error(err)
	}
}

// On a full disk nothing is decided or issued, everybody is told so, steps go
// on waiting, and with space again all goes on by itself, the ledger whole.
func TestFullDisk(t *testing.T) {
	t.Parallel() // it mostly waits
	t.Run("sqlite", func(t *testing.T) {
		d := newDisk(t, 4)
		p := play(t, func(s *stage) {
			s.rules(bobApproves)
			s.cfg.Database, s.cfg.Pending = filepath.Join(d.dir, "gatekeeper.db"), 1<<20
		})
		fullDisk(t, p, d, func() {}, func() {})
	})
	// Where tables cannot grow the server lives on; where its log cannot, it ends.
	for name, exhaust := range map[string]func(*testing.T, string){"postgres, tables": func(*testing.T, string) {}, "postgres, log": exhaustLog} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t, 64)
			pg := postgres.Start(t, postgres.Options{Dir: d.dir, Init: []string{"--wal-segsize=1"}, Config: map[string]string{"min_wal_size": "2MB", "max_wal_size": "8MB"}})
			url := pg.Database()
			p := onPostgresAt(t, url, func(s *stage) {
				s.rules(bobApproves)
				s.cfg.Pending = 1 << 20
			})
			fullDisk(t, p, d, func() { exhaust(t, url) }, func() {
				if pg.Ended() { // as its supervisor does
					pg.Restart()
				}
			})
		})
	}
}

// exhaustLog uses up what PostgreSQL had set aside for its log.
func exhaustLog(t *testing.T, url string) {
	conn, err := pgx.Connect(t.Context(), url)
	for n := 0; err == nil; n++ {
		if n > 200 {
			t.Fatal("the log never was full")
		}
		_, err = conn.Exec(t.Context(), `SELECT txid_current(), pg_switch_wal()`)
	}
}

func fullDisk(t *testing.T, p *played, d *smallDisk, exhaust, revive func()) {
	token := func(run int) string { return p.ci.Token(p.cfg.URL, runClaims(run)) }
	open := func(run int) (status int, body string) {
		return p.call(t, http.MethodPost, "/v1/requests", token(run), `{"environment":"production"}`)
	}
	redeem := func(run int, id string) (int, string) {
		ask := fmt.Sprintf(`{"name":"deploy","subject_token":%q}`, p.ci.Token("sts.amazonaws.com", runClaims(run)))
		return p.call(t, http.MethodPost, "/v1/requests/"+id+"/credentials", token(run), ask)
	}
	open(1)
	approved, err := p.slack.WaitMessage(t.Context(), asksFor(1))
	if err != nil {
		t.Fatal(err)
	}
	button, _ := buttonOf(approved, "Approve")
	if err := p.decide(t.Context(), approved, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if status, body := p.call(t, http.MethodGet, "/v1/requests/"+button.Value+"?wait=30s", token(1), ""); status != 200 || !strings.Contains(body, `"approved"`) {
		t.Fatalf("%d %s", status, body)
	}
	waiting := p.step(t, runClaims(2), "--timeout", "120s")
	asked, err := p.slack.WaitMessage(t.Context(), asksFor(2))
	if err != nil {
		t.Fatal(err)
	}

	d.fill()
	exhaust()
	run := 100
	for status := 0; status != http.StatusServiceUnavailable; run++ { // what was set aside for the log is used up first
		if run > 3000 {
			t.Fatalf("the disk never was full: %s", p.log.String()[max(0, len(p.log.String())-3000):])
		}
		if _, body := open(run); strings.Contains(body, `"error"`) {
			status, _ = p.admin(t, "/readyz")
			d.fill()
		}
	}
	if status, body := p.admin(t, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"storage":"out of reach"`) {
		t.Errorf("readyz: %d %s", status, body)
	}
	refused(t, p, http.MethodPost, "/v1/requests", token(run), `{"environment":"production"}`)
	refused(t, p, http.MethodPost, "/v1/requests/"+button.Value+"/credentials", token(1),
		fmt.Sprintf(`{"name":"deploy","subject_token":%q}`, p.ci.Token("sts.amazonaws.com", runClaims(1))))
	wants, _ := buttonOf(asked, "Approve")
	click := slackbox.Click{User: "U0BOB", Channel: asked.Channel, TS: asked.TS, ActionID: wants.ActionID, Value: wants.Value}
	early, err := p.slack.Click(t.Context(), click)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.sts.Sessions()); n != 0 {
		t.Errorf("%d sessions were issued", n)
	}
	select {
	case got := <-waiting:
		t.Fatalf("the step gave up: exit %d\n%s", got.code, got.stderr)
	default:
	}

	d.free()
	revive()
	until(t, "ready with space again", func() bool { revive(); status, _ := p.admin(t, "/readyz"); return status == http.StatusOK })
	if !early.Acked() { // one that was has been recorded, and must count
		clicked(t, p, click)
	}
	if got := <-waiting; got.code != 0 {
		t.Errorf("the step that waited: exit %d\n%s", got.code, got.stderr)
	}
	if status, body := redeem(1, button.Value); status != http.StatusOK {
		t.Errorf("redeeming with space again: %d %s", status, body)
	}
	if n := len(p.sts.Sessions()); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
	p.verified(t)
}

// refused wants the contract's answer while storage is away.
func refused(t *testing.T, p *played, method, path, token, body string) {
	t.Helper()
	resp, got := answerAt(t, p.cfg.URL, method, path, token, body)
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got, `"temporarily_unavailable"`) || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s: %d %s, Retry-After %q", method, path, resp.StatusCode, got, resp.Header.Get("Retry-After"))
	}
}

// clicked presses until Slack gets its acknowledgement.
func clicked(t *testing.T, p *played, c slackbox.Click) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if got, err := p.slack.Click(ctx, c); err == nil && got.Acked() {
			return
		}
	}
	t.Error("the click was never acknowledged")
}

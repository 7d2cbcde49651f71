package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
)

// An answer of the cloud that was lost counts as unknown, and the same step
// tries again by itself: three attempts at most (contract 3).
func TestStepTriesAgain(t *testing.T) {
	t.Parallel() // it mostly waits
	lost := stsbox.Fault{After: true}
	for name, c := range map[string]struct {
		faults        []stsbox.Fault
		code, unknown int
	}{
		"lost once":   {[]stsbox.Fault{lost}, 0, 1},
		"lost twice":  {[]stsbox.Fault{lost, lost}, 0, 2},
		"throttled":   {throttled(5), 0, 0},
		"lost thrice": {[]stsbox.Fault{lost, lost, lost}, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, nil)
			p.sts.Fail(c.faults...)
			done := p.step(t, nil)
			if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
				t.Fatal(err)
			}
			got := <-done
			if got.code != c.code || c.code == 1 && !strings.Contains(got.stderr, "the last of the attempts") {
				t.Errorf("exit %d, want %d\n%s", got.code, c.code, got.stderr)
			}
			unknown := p.recorded(t, gatekeeper.EventRedemptionUnknown)
			if unknown != c.unknown {
				t.Errorf("%d attempts are unknown, want %d", unknown, c.unknown)
			}
			if n := len(p.sts.Sessions()); n > 1+c.unknown {
				t.Errorf("%d sessions were issued", n)
			}
		})
	}
}

// recorded counts the ledger's events of a type.
func (p *played) recorded(t testing.TB, kind gatekeeper.EventType) (n int) {
	t.Helper()
	for line := range strings.Lines(p.exported(t)) { // an event a line, which names its type in the envelope too
		if strings.Contains(line, `"`+string(kind)+`"`) {
			n++
		}
	}
	return n
}

// exported is the ledger as JSON lines.
func (p *played) exported(t testing.TB) string {
	t.Helper()
	path, env := p.configFile(t)
	got := command(t.Context(), env, "audit", "export", "--config", path)
	if got.code != 0 {
		t.Fatalf("audit export: exit %d\n%s", got.code, got.stderr)
	}
	return got.stdout
}

// A proxy that hangs up in the middle of what it passes on, with and without
// an answer begun, changes nothing of how the step ends.
func TestHangUps(t *testing.T) {
	t.Parallel() // it mostly waits
	p := play(t, nil)
	var calls atomic.Int32
	again := make(chan struct{}) // it waits again
	to := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: p.ears.Addr().String()})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) {
		case 1: // never passed on
			panic(http.ErrAbortHandler)
		case 2: // done, and the answer is lost
			to.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case 4: // the answer is cut in its middle
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"id":`))
			panic(http.ErrAbortHandler)
		case 5: // what stands before a gatekeeper that restarts
			http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
		case 6:
			close(again)
			fallthrough
		default:
			to.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	done := p.step(t, nil, "--url", proxy.URL, "--audience", p.cfg.URL)
	m := p.asked(t)
	select {
	case <-again:
	case <-t.Context().Done():
		t.Fatal("the step does not come back")
	}
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 || !strings.Contains(got.stderr, "trouble") || !strings.Contains(got.stderr, "answers again") {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if n := p.askedTimes(); n != 1 {
		t.Errorf("%d messages, want one", n)
	}
}

// held is an STS that answers only once it is let go.
type held struct {
	asked, letGo chan struct{}
	once         sync.Once
	server       *httptest.Server
}

func hold(t testing.TB, sts *stsbox.STS) *held {
	h := &held{asked: make(chan struct{}), letGo: make(chan struct{})}
	at, err := url.Parse(sts.URL())
	if err != nil {
		t.Fatal(err)
	}
	to := httputil.NewSingleHostReverseProxy(at)
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.once.Do(func() { close(h.asked) })
		<-h.letGo
		to.ServeHTTP(w, r)
	}))
	t.Cleanup(h.server.Close)
	return h
}

// An approval whose credentials are being taken cannot be revoked any more:
// the click is answered so, and the job gets what it was promised.
func TestRevokeDuringTheExchange(t *testing.T) {
	var h *held
	p := play(t, func(s *stage) {
		h = hold(t, s.sts)
		s.cfg.Clouds.STSEndpoint = h.server.URL
	})
	done := p.step(t, nil)
	m := p.asked(t)
	b, _ := buttonOf(m, "Approve")
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	<-h.asked
	// Whether the message offers Revoke for a moment is up to timing; Carol
	// had it on her screen.
	late := &slackbox.Forge{Payload: map[string]any{"actions": map[string]any{"action_id": "gatekeeper_revoke", "value": b.Value}}}
	if _, err := p.slack.Click(t.Context(), slackbox.Click{User: "U0CAROL", Channel: m.Channel, TS: m.TS, ActionID: "gatekeeper_details", Forge: late}); err != nil {
		t.Error(err)
	}
	p.told(t, "U0CAROL", "already redeemed")
	close(h.letGo)
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	p.verified(t)
}

// job runs the real binary as a job's step.
func (s *stage) job(t testing.TB, path string, args ...string) (*exec.Cmd, *buffer) {
	t.Helper()
	out := &buffer{}
	cmd := exec.Command(path, append([]string{"request", "--environment", "production"}, args...)...)
	for name, value := range s.jobEnv(nil) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out
}

// SIGTERM to the real step, as a runner sends it when a job is cancelled,
// withdraws the request. A second one ends it at once, even while the
// gatekeeper does not answer.
func TestSignals(t *testing.T) {
	t.Parallel() // it mostly waits
	path := parts.Gatekeeper(t)
	t.Run("one", func(t *testing.T) {
		p := play(t, nil)
		cmd, out := p.job(t, path)
		id := p.asked(t).Metadata.EventPayload["request_id"].(string)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(out.String(), "withdrawn") {
			t.Errorf("exit %d\n%s", code, out)
		}
		if r, err := p.svc.gate.Lookup(t.Context(), id); err != nil || r.State != gatekeeper.Canceled {
			t.Errorf("the request is %s, %v", r.State, err)
		}
	})
	t.Run("two", func(t *testing.T) {
		p := play(t, nil)
		canceling, release := make(chan struct{}), make(chan struct{})
		to := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: p.ears.Addr().String()})
		slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/cancel") {
				close(canceling)
				<-release
				return
			}
			to.ServeHTTP(w, r)
		}))
		defer slow.Close()
		defer close(release)
		cmd, _ := p.job(t, path, "--url", slow.URL, "--audience", p.cfg.URL)
		p.asked(t)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-canceling
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
			t.Errorf("ended as %v, want by the second signal", cmd.ProcessState)
		}
	})
}

// A gatekeeper that is stopped well and started again in the middle of a
// step's wait goes on where it was.
func TestRestartInTheMiddle(t *testing.T) {
	t.Parallel() // it mostly waits
	p := newProcess(t, parts.Gatekeeper(t), stageRules)
	p.start()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	done := make(chan outcomeOf, 1)
	go func() { done <- command(ctx, p.jobEnv(nil), "request", "--environment", "production") }()
	m := p.asked(t)
	_ = p.cmd.Process.Signal(os.Interrupt)
	<-p.exited
	var refused error
	if _, refused = http.Get(p.cfg.URL + "/openapi.yaml"); refused == nil || !errors.Is(refused, syscall.ECONNREFUSED) {
		t.Fatalf("it still serves: %v", refused)
	}
	p.start()
	if err := p.decide(ctx, m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.stderr, p.log)
	}
	if n := p.askedTimes(); n != 1 {
		t.Errorf("%d messages, want one", n)
	}
}

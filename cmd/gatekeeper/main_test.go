package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// buffer is written by a command and read by a test at once.
type buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed by the next write; nil: nobody waits for it
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
	return b.b.Write(p)
}

// until waits for the nth time that these words are written.
func (b *buffer) until(t testing.TB, words string, n int) {
	t.Helper()
	for {
		b.mu.Lock()
		there := strings.Count(b.b.String(), words) >= n
		if b.more == nil {
			b.more = make(chan struct{})
		}
		more := b.more
		b.mu.Unlock()
		if there {
			return
		}
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatalf("%q was not said %d times:\n%s", words, n, b)
		}
	}
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// outcomeOf is what a command came to.
type outcomeOf struct {
	code           int
	stdout, stderr string
}

// command runs one in this process.
func command(ctx context.Context, env map[string]string, args ...string) outcomeOf {
	return commandOf(ctx, world{env: func(name string) string { return env[name] }}, args...)
}

// commandOf runs one in this process with what w has of the world.
func commandOf(ctx context.Context, w world, args ...string) outcomeOf {
	var stdout, stderr buffer
	w.args, w.stdin, w.stdout, w.stderr, w.interrupt = append([]string{"gatekeeper"}, args...), strings.NewReader(""), &stdout, &stderr, ctx
	return outcomeOf{run(w), stdout.String(), stderr.String()}
}

// played is a stage with a running gatekeeper.
type played struct {
	*stage
	log *buffer
	svc *service
}

func play(t testing.TB, change func(*stage)) *played {
	t.Helper()
	s := newStaged(t)
	if change != nil {
		change(s)
	}
	p := &played{stage: s, log: &buffer{}}
	svc, stop, err := s.serve(context.WithoutCancel(t.Context()), slog.New(slog.NewJSONHandler(p.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	p.svc = svc
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error("the service did not stop well:", err)
		}
	})
	return p
}

// asked is the message about a request, once its buttons are there.
func (s *stage) asked(t testing.TB) slackbox.Message {
	t.Helper()
	m, err := s.slack.WaitMessage(t.Context(), func(m slackbox.Message) bool {
		_, ok := buttonOf(m, "Approve")
		return m.Channel == "C0DEPLOYS" && ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// askedFor is the message that asks for a run: one of a run before may still
// have its buttons, as it does for good where the service was killed by then.
func (s *stage) askedFor(t *testing.T, run int) slackbox.Message {
	t.Helper()
	m, err := s.slack.WaitMessage(t.Context(), asksFor(run))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// closed waits until a message asks no more, so that one that does is another
// request's.
func (s *stage) closed(t testing.TB, m slackbox.Message) {
	t.Helper()
	if _, err := s.slack.WaitMessage(t.Context(), func(now slackbox.Message) bool {
		_, open := buttonOf(now, "Approve")
		return now.Channel == m.Channel && now.TS == m.TS && !open
	}); err != nil {
		t.Fatal(err)
	}
}

// askedTimes is how many messages ask for a request; answers in their threads
// do not.
func (s *stage) askedTimes() int {
	n := 0
	for _, m := range s.slack.Messages("C0DEPLOYS") {
		if m.Metadata != nil && m.Metadata.EventPayload["request_id"] != nil {
			n++
		}
	}
	return n
}

func buttonOf(m slackbox.Message, label string) (slackbox.Button, bool) {
	for _, b := range m.Buttons() {
		if b.Text == label {
			return b, true
		}
	}
	return slackbox.Button{}, false
}

// step runs `gatekeeper request` as a job beside the test.
func (s *stage) step(t testing.TB, claims map[string]any, args ...string) <-chan outcomeOf {
	env := s.jobEnv(claims)
	done := make(chan outcomeOf, 1)
	go func() {
		done <- command(t.Context(), env, append([]string{"request", "--environment", "production"}, args...)...)
	}()
	return done
}

func newSilent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func defaultClaims() map[string]any { return ciissuer.Defaults() }

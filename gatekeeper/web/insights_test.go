package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

func TestMeasure(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	asked := func(environment string, ago, wait time.Duration, state gatekeeper.State) gatekeeper.Request {
		r := gatekeeper.Request{Environment: environment, State: state, CreatedAt: now.Add(-ago)}
		if wait > 0 {
			r.DecidedAt = r.CreatedAt.Add(wait)
			r.Votes = []gatekeeper.Vote{{At: r.DecidedAt}}
		}
		return r
	}
	v := measure([]gatekeeper.Request{
		asked("production", time.Hour, time.Minute, gatekeeper.Approved),
		asked("Production", 2*time.Hour, 3*time.Minute, gatekeeper.Denied),
		asked("production", 50*time.Hour, 0, gatekeeper.Expired),
		asked("staging", time.Hour, time.Second, gatekeeper.Approved),
		asked("production", 40*24*time.Hour, time.Hour, gatekeeper.Approved), // last month
	}, now)
	if len(v.Environments) != 2 || v.Most != 2 || v.Seen != 4 {
		t.Fatalf("%+v", v)
	}
	p := v.Environments[0]
	got := fmt.Sprintln(p.Name, p.Total, p.Approved, p.Denied, p.Ended, p.Median, p.Longest)
	if got != "production 3 1 1 1 3m0s 3m0s\n" {
		t.Errorf("got %q", got)
	}
	today, before := p.Bars[plotDays-1], p.Bars[plotDays-3]
	if today.Height != plotHeight || before.Height != plotHeight/2 || today.Y != 0 || p.Bars[0].Height != 0 {
		t.Errorf("bars %+v and %+v", today, before)
	}
	if empty := measure(nil, now); len(empty.Environments) != 0 {
		t.Errorf("%+v", empty)
	}
}

// Threats row 28: what hides, or turns the text around, is shown.
func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"main\u202Ecod.exe": "main\uFFFDcod.exe", "a\x00b": "a\uFFFDb", "a\u200bb": "a\uFFFDb", "a\nb": "a b", "é ✓": "é ✓",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestNext(t *testing.T) {
	for in, want := range map[string]string{
		"/requests/req_1?x=1": "/requests/req_1?x=1", "": "/requests", "https://evil.io/": "/requests", "//evil.io": "/requests",
		`/\evil.io`: "/requests", "javascript:alert(1)": "/requests", "requests": "/requests", "/%2f/evil.io": "/%2f/evil.io",
	} {
		if got := next(in); got != want {
			t.Errorf("%q leads to %q, want %q", in, got, want)
		}
	}
}

// What is sealed for one purpose, by another key or too long ago opens
// nothing.
func TestSeal(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	s, err := newSealer([]byte("0123456789abcdef0123456789abcdef"), clock)
	if err != nil {
		t.Fatal(err)
	}
	text, err := seal(s, "session", session{Slack: "U0BOB"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := unseal[session](s, "session", text); !ok || got.Slack != "U0BOB" {
		t.Fatalf("%+v, %v", got, ok)
	}
	if _, ok := unseal[session](s, "link", text); ok {
		t.Error("it opens for another purpose")
	}
	other, _ := newSealer([]byte("another-key-0123456789abcdef0123456789"), clock)
	if _, ok := unseal[session](other, "session", text); ok {
		t.Error("it opens with another key")
	}
	for i := range text {
		changed := []byte(text)
		changed[i] ^= 1
		if got, ok := unseal[session](s, "session", string(changed)); ok && i < len(text)-2 {
			t.Fatalf("byte %d can be changed: %+v", i, got)
		}
	}
	now = now.Add(time.Hour)
	if _, ok := unseal[session](s, "session", text); ok {
		t.Error("it is still good after its time")
	}
	if _, err := newSealer([]byte("short"), clock); err == nil {
		t.Error("a short key was taken")
	}
}

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
)

// until looks again and again until it is so; what happens in other processes
// and behind sockets gives no other sign.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came to: " + what)
		}
	}
}

// exportedIDs are the ids of the ledger's events, in order.
func exportedIDs(t testing.TB, export string) []string {
	t.Helper()
	var ids []string
	for d := json.NewDecoder(strings.NewReader(export)); ; {
		var e struct{ ID string }
		if err := d.Decode(&e); err == io.EOF {
			return ids
		} else if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
}

// deliveredIDs are the ids of events in a sink's lines, in the order of their
// first coming, and the last checkpoint.
func deliveredIDs(t testing.TB, body string) (ids []string, checkpoints int) {
	t.Helper()
	seen := map[string]bool{}
	for line := range strings.Lines(body) {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if strings.HasPrefix(e.ID, "checkpoint_") {
			checkpoints++
		} else if !seen[e.ID] {
			seen[e.ID] = true
			ids = append(ids, e.ID)
		}
	}
	return ids, checkpoints
}

func fileOf(path string) string {
	body, _ := os.ReadFile(path)
	return string(body)
}

// A sink that is down blocks nobody and catches up; its lag is to be seen, and
// its token nowhere.
func TestSinks(t *testing.T) {
	var mu sync.Mutex
	var got bytes.Buffer
	down := true
	siem := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if down || r.Header.Get("Authorization") != "Splunk hec-canary" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.Copy(&got, r.Body)
	}))
	defer siem.Close()
	http.DefaultTransport.(*http.Transport).TLSClientConfig = siem.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	defer func() { http.DefaultTransport.(*http.Transport).TLSClientConfig = nil }()
	var file string
	p := play(t, func(s *stage) {
		file = filepath.Join(s.dir, "audit.jsonl")
		s.cfg.Sinks = []sinkConfig{
			{Type: "file", Name: "file", Path: file, Format: "jsonl"},
			{Type: "webhook", Name: "siem", URL: siem.URL + "/services/collector", Token: "hec-canary", Vendor: "splunk", Format: "ocsf"},
			{Type: "file", Name: "votes", Path: file + ".votes", Format: "cef", Events: []string{"vote.*"}},
		}
	})
	id := p.approved(t)
	want := exportedIDs(t, p.mustAudit(t, "export"))
	until(t, "the file has all events", func() bool {
		ids, checkpoints := deliveredIDs(t, fileOf(file))
		return len(ids) == len(want) && checkpoints > 0
	})
	if ids, _ := deliveredIDs(t, fileOf(file)); strings.Join(ids, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", ids, want)
	}
	until(t, "the file's cursor is at the end", func() bool {
		return strings.Contains(p.adminGet(t, "/metrics"), `gatekeeper_audit_sink_lag_events{sink="file"} 0`)
	})
	metrics := p.adminGet(t, "/metrics")
	if strings.Contains(metrics, `gatekeeper_audit_sink_lag_events{sink="siem"} 0`) || strings.Contains(metrics, `gatekeeper_audit_sink_failures_total{sink="siem"} 0`) {
		t.Error(metrics)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	until(t, "the webhook caught up", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(got.String(), want[len(want)-1])
	})
	for _, id := range want {
		if !strings.Contains(got.String(), `"uid":"`+id+`"`) {
			t.Errorf("the webhook never got %s", id)
		}
	}
	until(t, "votes are filtered", func() bool { return strings.Contains(fileOf(file+".votes"), "vote.counted") })
	if votes := fileOf(file + ".votes"); strings.Contains(votes, "request.opened") || !strings.Contains(votes, "cs1="+id) {
		t.Error(votes)
	}
	p.noSecrets(t, "hec-canary")
	// What a sink received finds a history that was changed afterwards.
	if out := p.mustAudit(t, "verify", "--checkpoint", file, "--checkpoint", file+".votes"); !strings.HasPrefix(out, "verified: ") {
		t.Error(out)
	}
}

func (p *played) adminGet(t testing.TB, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + p.doors.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

// The wiring gives each type its receiver.
func TestSinkOfEachType(t *testing.T) {
	s := &service{cfg: config{URL: "https://gatekeeper.test:8443"}}
	for kind, want := range map[string]sink.Out{"file": sink.File{Path: "p"}, "stdout": sink.Writer{W: os.Stdout}} {
		if got := s.out(sinkConfig{Type: kind, Path: "p"}); got != want {
			t.Errorf("%s: %#v", kind, got)
		}
	}
	if _, ok := s.out(sinkConfig{Type: "webhook"}).(sink.Webhook); !ok {
		t.Error("a webhook is none")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if got, ok := s.out(sinkConfig{Type: "syslog", Addr: "a:1", TLS: config}).(*sink.Syslog); !ok || got.Addr != "a:1" || got.TLS != config || got.Host != "gatekeeper.test" {
		t.Errorf("syslog: %+v", got)
	}
}

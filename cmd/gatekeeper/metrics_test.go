package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// metricsOf reads the admin port as Prometheus does.
func (p *played) metricsOf(t *testing.T) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.doors.Addr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What operators watch moves with a deployment, and no label is of a
// stranger's making.
func TestMetrics(t *testing.T) {
	p := play(t, nil)
	done := p.step(t, map[string]any{"ref": "refs/tags/v1-canary"})
	m := p.asked(t)
	for !strings.Contains(p.metricsOf(t), "gatekeeper_waiting_steps 1\n") { // the message may be there before the step asks again
		if t.Context().Err() != nil {
			t.Fatal("no step waits")
		}
	}
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	got := p.metricsOf(t)
	for _, want := range []string{
		`gatekeeper_requests_total{rule="payments-production",state="pending"} 1`,
		`gatekeeper_requests_total{rule="payments-production",state="approved"} 1`,
		`gatekeeper_time_to_decision_seconds_count{state="approved"} 1`,
		`gatekeeper_redemptions_total{result="intended",type="aws"} 1`,
		`gatekeeper_redemptions_total{result="succeeded",type="aws"} 1`,
		`gatekeeper_events_total{type="vote.counted"} 1`,
		`gatekeeper_waiting_steps 0`, "gatekeeper_signing_key_age_seconds ", "gatekeeper_ledger_events ", `gatekeeper_build_info{version="dev"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s", want)
		}
	}
	for _, stranger := range []string{"acme/payments", "alice", "canary", "U0BOB", "req_"} {
		if strings.Contains(got, stranger) {
			t.Errorf("a label tells %s", stranger)
		}
	}
}

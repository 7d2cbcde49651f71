package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
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

// What keeps jobs from being served is told by what does: their repository's
// many requests, or their issuer, whose keys are known by its configured name.
func TestMetricsOfRefusals(t *testing.T) {
	p := play(t, func(s *stage) { s.cfg.Pending = 1 })
	open := func(run int) (status int) {
		status, _ = p.call(t, http.MethodPost, "/v1/requests", p.ci.Token(p.cfg.URL, runClaims(run)), `{"environment":"production"}`)
		return status
	}
	if first, second := open(1), open(2); first != http.StatusCreated || second != http.StatusTooManyRequests {
		t.Fatalf("got %d and %d", first, second)
	}
	p.ci.Set(ciissuer.Down)
	if err := p.ci.Rotate(); err != nil {
		t.Fatal(err)
	}
	if status := open(3); status != http.StatusServiceUnavailable {
		t.Fatalf("got %d", status)
	}
	got := p.metricsOf(t)
	for _, want := range []string{
		`gatekeeper_limited_total{limit="pending"} 1`, `gatekeeper_limited_total{limit="repository"} 0`,
		`gatekeeper_issuer_key_fetches_total{issuer="github",result="ok"} 1`, `gatekeeper_issuer_key_fetches_total{issuer="github",result="failed"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
}

// A key is as old as its use: the ledger's begins with the ledger, and again
// when it is rotated to.
func TestKeyAges(t *testing.T) {
	t.Parallel() // it mostly waits
	p := play(t, nil)
	if got := p.metricsOf(t); !strings.Contains(got, "\ngatekeeper_ledger_key_age_seconds ") || strings.Contains(got, "_key_age_seconds -1") {
		t.Error("there is no age")
	}
	p.opened(t)
	began, err := p.svc.keeper.signsSince(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.mustAudit(t, "rotate-key")
	if rotated, err := p.svc.keeper.signsSince(t.Context()); err != nil || !rotated.After(began) {
		t.Errorf("it signs since %s, before since %s, %v", rotated, began, err)
	}
}

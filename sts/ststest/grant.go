// Package ststest holds the suite that every exchanger passes, and what it
// takes to call one: grants that the request's state machine made, and the
// gatekeeper as an issuer that stand-ins can ask.
package ststest

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

// Workload is a job of acme/payments.
func Workload() gatekeeper.Workload {
	return gatekeeper.Workload{IssuerURL: "https://ci", Subject: "repo:acme/payments:environment:production", Repository: "acme/payments", RepositoryID: "1",
		RunID: "7001", RunAttempt: "1", SHA: "4f2c", Ref: "refs/heads/main", Actor: "alice", Workflow: "acme/payments/.github/workflows/deploy.yml@refs/heads/main"}
}

// Grant is what the state machine gives to acme/payments for production.
func Grant(t testing.TB, spec gatekeeper.CredentialSpec) gatekeeper.Grant {
	t.Helper()
	return GrantFor(t, spec, Workload(), "production")
}

// GrantFor is what it gives to a workload for an environment.
func GrantFor(t testing.TB, spec gatekeeper.CredentialSpec, w gatekeeper.Workload, environment string) gatekeeper.Grant {
	t.Helper()
	g, err := Redeem(spec, w, environment)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Redeem opens a request that needs nobody and redeems it.
func Redeem(spec gatekeeper.CredentialSpec, w gatekeeper.Workload, environment string) (gatekeeper.Grant, error) {
	if spec.Name == "" {
		spec.Name = "deploy"
	}
	now := time.Now().UTC()
	rule := gatekeeper.Rule{Name: "payments", Credentials: []gatekeeper.CredentialSpec{spec},
		Approval: gatekeeper.Approval{None: true, ValidFor: time.Hour, ExpiresAfter: time.Hour, Redemptions: 1, Scope: gatekeeper.ScopeRun, StepUp: gatekeeper.StepUpNone}}
	d := gatekeeper.Decision{Outcome: gatekeeper.Allow, Rule: &rule}
	r, _, err := gatekeeper.NewRequest(gatekeeper.Admission{ID: "req_abc", Workload: w, Ask: gatekeeper.Ask{Environment: environment}, Decision: d, Credentials: rule.Credentials, Now: now})
	if err != nil {
		return gatekeeper.Grant{}, err
	}
	_, g, _, err := r.Redeem(gatekeeper.Claim{ID: "red_1", Workload: w, Credential: spec.Name, Current: d, SettleBy: now.Add(time.Minute)}, now)
	return g, err
}

// key is one for all tests: making one takes a while.
var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Key is a signing key.
func Key(t testing.TB) issuer.Key {
	t.Helper()
	private, err := key()
	if err != nil {
		t.Fatal(err)
	}
	k, err := issuer.FromRSA(private, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Issuer is the gatekeeper as an issuer on loopback. now may be nil.
func Issuer(t testing.TB, now func() time.Time) *issuer.Issuer {
	t.Helper()
	var ours *issuer.Issuer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ours.Handler().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	var err error
	if ours, err = issuer.New(issuer.Options{URL: server.URL, Keys: issuer.Static{Key(t)}, Now: now}); err != nil {
		t.Fatal(err)
	}
	return ours
}

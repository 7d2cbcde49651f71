package oidc_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
)

// BenchmarkVerifyAndDecide verifies a token that was not seen before, and
// decides. Each turn also verifies one bare RSA-2048 signature over as many
// bytes, so that both have the machine's same moments: xRSA is the ratio of
// their medians, which what else the machine does hardly moves.
func BenchmarkVerifyAndDecide(bb *testing.B) {
	b := begin(bb)
	raw := b.Token(ours, ciissuer.Defaults())
	decide := decider(bb)
	bare := bareRSA(bb, len(raw))
	ctx := context.Background()
	var whole, limit []time.Duration
	for bb.Loop() {
		oidc.Forget(b.v)
		began := time.Now()
		w, err := b.v.Verify(ctx, raw, "")
		if err != nil {
			bb.Fatal(err)
		}
		decide(w)
		half := time.Now()
		bare()
		whole, limit = append(whole, half.Sub(began)), append(limit, time.Since(half))
	}
	bb.ReportMetric(median(whole), "verify+decide-ns")
	bb.ReportMetric(median(limit), "bareRSA-ns")
	bb.ReportMetric(median(whole)/median(limit), "xRSA")
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Nanoseconds())
}

// BenchmarkVerifyAgain verifies a token that was seen before.
func BenchmarkVerifyAgain(bb *testing.B) {
	b := begin(bb)
	raw := b.Token(ours, ciissuer.Defaults())
	for bb.Loop() {
		if _, err := b.v.Verify(context.Background(), raw, ""); err != nil {
			bb.Fatal(err)
		}
	}
}

func bareRSA(bb *testing.B, size int) func() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		bb.Fatal(err)
	}
	msg := bytes.Repeat([]byte("x"), size)
	sum := sha256.Sum256(msg)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		bb.Fatal(err)
	}
	return func() {
		sum := sha256.Sum256(msg)
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
			bb.Fatal(err)
		}
	}
}

// decider decides under two thousand rules, of which one admits the token.
func decider(bb *testing.B) func(gatekeeper.Workload) {
	var body strings.Builder
	body.WriteString("rules:\n")
	for i := range 2000 {
		name := fmt.Sprintf("repo-%d", i)
		if i == 1000 {
			name = "payments"
		}
		fmt.Fprintf(&body, "  - name: %s\n    match: {repository: acme/%s, ref: refs/heads/main}\n"+
			"    environment: production\n    approval: {approvers: [slack:S0TEAM], quorum: 2}\n", name, name)
	}
	set, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(body.String())}}, rules.Options{})
	if faults.Err() != nil {
		bb.Fatal(faults)
	}
	return func(w gatekeeper.Workload) {
		if d := set.Decide(w, "production", w.Token.IssuedAt); d.Outcome != gatekeeper.NeedApproval {
			bb.Fatal(d.Reason)
		}
	}
}

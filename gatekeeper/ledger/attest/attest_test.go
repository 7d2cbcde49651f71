package attest_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/attest"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	origin = "gatekeeper.test/ledger"
	sha    = "0123456789abcdef0123456789abcdef01234567"
)

var key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func request() gatekeeper.Request {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	return gatekeeper.Request{
		ID: "req_1", State: gatekeeper.Approved, Environment: "production", Digest: strings.Repeat("ab", 32), RulesDigest: "cd", CreatedAt: at, DecidedAt: at, RedeemBefore: at,
		Workload: gatekeeper.Workload{Repository: "acme/payments", SHA: sha, Ref: "refs/heads/main", RunURL: "https://github.com/acme/payments/actions/runs/1"},
		Rule:     gatekeeper.Rule{Name: "payments-production"},
		Votes:    []gatekeeper.Vote{{Person: gatekeeper.Person{Slack: "U0BOB", Name: "Bob <b>"}, Choice: gatekeeper.Approve, At: at, As: []gatekeeper.Approver{"slack:S0RELEASE"}}},
	}
}

// entry is the approval in a ledger of one event.
func entry(t testing.TB, r gatekeeper.Request) ledger.ProvenEntry {
	t.Helper()
	signer, err := ledger.NewSigner(ledger.SignerOptions{Origin: origin, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(gatekeeper.Event{ID: "evt_1", Type: gatekeeper.EventRequestApproved, Request: r.ID, Data: map[string]any{"digest": r.Digest}})
	if err != nil {
		t.Fatal(err)
	}
	_, note, err := signer.Append(0, nil, [][]byte{body})
	if err != nil {
		t.Fatal(err)
	}
	return ledger.ProvenEntry{ProvenEvent: ledger.ProvenEvent{Body: string(body)}, Checkpoint: string(note)}
}

func public(t testing.TB) string {
	t.Helper()
	k, err := ledger.VerifierKey(origin, key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signed(t testing.TB, change func(*attest.Statement)) []byte {
	t.Helper()
	r := request()
	s, err := attest.StatementOf("https://gatekeeper.test", r, entry(t, r))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	envelope, err := attest.Sign(t.Context(), s, key)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

func TestAttest(t *testing.T) {
	envelope := signed(t, nil)
	pem, err := attest.PEM(key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{public(t), string(pem)} {
		s, err := attest.Verify(t.Context(), envelope, k)
		if err != nil {
			t.Fatal(err)
		}
		want := attest.Want{Commit: sha, Repository: "acme/payments", Environment: "Production", Approvers: 1, NoBreakGlass: true}
		if err := s.Meets(want); err != nil {
			t.Error(err)
		}
		for name, want := range map[string]attest.Want{
			"commit": {Commit: strings.Repeat("0", 40)}, "repository": {Repository: "acme/other"}, "environment": {Environment: "staging"}, "people": {Approvers: 2},
		} {
			if gatekeeper.CodeOf(s.Meets(want)) != gatekeeper.CodeAccessDenied {
				t.Errorf("another %s was taken", name)
			}
		}
		s.Predicate.BreakGlass = true
		if s.Meets(want) == nil {
			t.Error("an emergency's approval was taken")
		}
	}
	if again := signed(t, nil); string(again) != string(envelope) {
		t.Error("the same request gives another attestation")
	}
}

// What the approved job deploys is among the subjects, and only with its
// digest.
func TestArtifacts(t *testing.T) {
	image := "registry.example.com:5000/acme/payments@sha256:" + strings.Repeat("0f", 32)
	artifacts, err := attest.Artifacts([]string{image})
	if err != nil {
		t.Fatal(err)
	}
	r := request()
	s, err := attest.StatementOf("https://gatekeeper.test", r, entry(t, r), artifacts...)
	if err != nil || s.Subject[0].Name != "registry.example.com:5000/acme/payments" || s.Subject[0].Digest["sha256"] != strings.Repeat("0f", 32) {
		t.Fatalf("%+v, %v", s.Subject, err)
	}
	if err := s.Meets(attest.Want{Artifact: image}); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"registry.example.com:5000/acme/payments@sha256:" + strings.Repeat("00", 32), "payments", "req_1@sha256:" + r.Digest} {
		if s.Meets(attest.Want{Artifact: other}) == nil {
			t.Errorf("%s was taken", other)
		}
	}
	for _, bad := range []string{"payments:latest", "@sha256:" + strings.Repeat("0f", 32), "x@sha256:0F", "x\n@sha256:" + strings.Repeat("0f", 32)} {
		if _, err := attest.Artifacts([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := attest.Artifacts(make([]string, 33)); err == nil {
		t.Error("any number was taken")
	}
}

// Each way of changing an attestation, or of attesting something else.
func TestAttestTampering(t *testing.T) {
	other := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32)))
	otherKey, err := ledger.VerifierKey(origin, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Verify(t.Context(), signed(t, nil), otherKey); err == nil {
		t.Error("a foreign key verified it")
	}
	var e map[string]any
	if err := json.Unmarshal(signed(t, nil), &e); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(e["payload"].(string))
	if err != nil {
		t.Fatal(err)
	}
	e["payload"] = base64.StdEncoding.EncodeToString([]byte(strings.Replace(string(payload), "production", "staging...", 1)))
	changed, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Verify(t.Context(), changed, public(t)); err == nil {
		t.Error("a changed payload verified")
	}
	for name, change := range map[string]func(*attest.Statement){
		"another predicate": func(s *attest.Statement) { s.PredicateType = "https://slsa.dev/provenance/v1" },
		"another statement": func(s *attest.Statement) { s.Type = "https://in-toto.io/Statement/v0.1" },
		"another event": func(s *attest.Statement) {
			s.Predicate.Ledger.Event = strings.Replace(s.Predicate.Ledger.Event, "evt_1", "evt_2", 1)
		},
		"another request": func(s *attest.Statement) { s.Predicate.Request = "req_2" },
		"another digest":  func(s *attest.Statement) { s.Predicate.ApprovalDigest = "00" },
		"no checkpoint":   func(s *attest.Statement) { s.Predicate.Ledger.Checkpoint = "" },
		"not in the tree": func(s *attest.Statement) { s.Predicate.Ledger.Index = 1 },
	} {
		if _, err := attest.Verify(t.Context(), signed(t, change), public(t)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for _, garbage := range []string{"", "{}", "[]", `{"payloadType":"x","payload":"!","signatures":[{"sig":"x"}]}`} {
		if _, err := attest.Verify(t.Context(), []byte(garbage), public(t)); err == nil {
			t.Errorf("%q was taken", garbage)
		}
	}
}

// Only what is approved is attested, and only as the ledger has it.
func TestOnlyApprovedIsAttested(t *testing.T) {
	for state, code := range map[gatekeeper.State]gatekeeper.Code{
		gatekeeper.Pending: gatekeeper.CodePending, gatekeeper.Denied: gatekeeper.CodeAccessDenied, gatekeeper.Revoked: gatekeeper.CodeAccessDenied,
		gatekeeper.Expired: gatekeeper.CodeExpired, gatekeeper.Canceled: gatekeeper.CodeExpired, gatekeeper.Superseded: gatekeeper.CodeExpired, "": gatekeeper.CodeExpired,
	} {
		r := request()
		r.State = state
		if _, err := attest.StatementOf("", r, entry(t, r)); gatekeeper.CodeOf(err) != code {
			t.Errorf("%s: %v", state, err)
		}
	}
	r := request()
	e := entry(t, r)
	r.Digest = strings.Repeat("00", 32)
	if _, err := attest.StatementOf("", r, e); gatekeeper.CodeOf(err) != gatekeeper.CodeInternal {
		t.Errorf("another digest than the ledger's: %v", err)
	}
	r = request()
	r.Workload = gatekeeper.Workload{}
	s, err := attest.StatementOf("", r, entry(t, r))
	if err != nil || len(s.Subject) != 1 || s.Subject[0].Digest["sha256"] != r.Digest {
		t.Errorf("without a commit: %+v, %v", s.Subject, err)
	}
}

// The statement by in-toto's own library, and the signature by OpenSSL over
// DSSE's encoding written down here once more.
func TestIndependentVerifiers(t *testing.T) {
	var e struct {
		PayloadType, Payload string
		Signatures           []struct{ KeyID, Sig string }
	}
	if err := json.Unmarshal(signed(t, nil), &e); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	var s intoto.Statement
	if err := protojson.Unmarshal(payload, &s); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if s.GetSubject()[0].GetDigest()["gitCommit"] != sha || s.GetSubject()[0].GetUri() != "git+https://github.com/acme/payments@refs/heads/main" ||
		s.GetPredicateType() != attest.PredicateType || s.GetPredicate().GetFields()["environment"].GetStringValue() != "production" {
		t.Errorf("got %s", payload)
	}
	openssl := parts.Find(t, "openssl", "apt-get install openssl")
	dir := t.TempDir()
	pem, err := attest.PEM(key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	if err != nil {
		t.Fatal(err)
	}
	pae := "DSSEv1 28 application/vnd.in-toto+json " + itoa(len(payload)) + " " + string(payload)
	for name, body := range map[string]string{"key": string(pem), "sig": string(sig), "pae": pae} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "pae", "-sigfile", "sig")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func FuzzVerify(f *testing.F) {
	f.Add(signed(f, nil))
	f.Add([]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":""}]}`))
	good := signed(f, nil)
	k := public(f)
	want, err := attest.Verify(f.Context(), good, k)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := attest.Verify(t.Context(), body, k)
		if err == nil && s.Predicate.Ledger.Event != want.Predicate.Ledger.Event {
			t.Fatalf("%q verifies", body)
		}
	})
}

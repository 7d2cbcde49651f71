package passkey_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/passkey"
)

// memory is a store that keeps everything in order.
type memory struct {
	mu     sync.Mutex
	notes  map[string][]byte
	events []gatekeeper.Event
	broken error
}

func (m *memory) Record(_ context.Context, c gatekeeper.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	m.events = append(m.events, c.Events...)
	for _, n := range c.Notes {
		m.notes[n.Key] = n.Value
	}
	return nil
}

func (m *memory) NotesUnder(_ context.Context, kind, prefix string) ([]gatekeeper.Note, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []gatekeeper.Note
	for key, value := range m.notes {
		if strings.HasPrefix(key, prefix) {
			found = append(found, gatekeeper.Note{Kind: kind, Key: key, Value: value})
		}
	}
	return found, nil
}

func (m *memory) types() (all []gatekeeper.EventType) {
	for _, e := range m.events {
		all = append(all, e.Type)
	}
	return all
}

// desk is a person at a browser with an authenticator.
type desk struct {
	*passkey.Keys
	memory *memory
	now    time.Time
	rp     virtualwebauthn.RelyingParty
	device virtualwebauthn.Authenticator
	key    virtualwebauthn.Credential
}

var bob = gatekeeper.Person{Slack: "U0BOB", Name: "Bob"}

func begin(t *testing.T) *desk {
	t.Helper()
	d := &desk{memory: &memory{notes: map[string][]byte{}}, now: time.Now(),
		rp:     virtualwebauthn.RelyingParty{Name: "Gatekeeper", ID: "gatekeeper.example.com", Origin: "https://gatekeeper.example.com"},
		device: virtualwebauthn.NewAuthenticator(), key: newKey()}
	d.device.Options.UserHandle = []byte(bob.Slack)
	var err error
	d.Keys, err = passkey.New(passkey.Options{URL: "https://gatekeeper.example.com", Store: d.memory, Now: func() time.Time { return d.now }})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newKey leaves out keys with a coordinate that begins with a zero byte, which
// the stand-in for an authenticator writes too short.
func newKey() virtualwebauthn.Credential {
	const whole = 77 // bytes of a COSE key of P-256
	for {
		if key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(key.Key.AttestationData()) == whole {
			return key
		}
	}
}

func (d *desk) enrol(t *testing.T) (passkey.Key, error) {
	t.Helper()
	options, session, err := d.BeginEnrolment(t.Context(), bob)
	if err != nil {
		return passkey.Key{}, err
	}
	asked, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	answer := virtualwebauthn.CreateAttestationResponse(d.rp, d.device, d.key, *asked)
	return d.FinishEnrolment(t.Context(), bob, "sso", "Laptop", session, []byte(answer))
}

func (d *desk) mustEnrol(t *testing.T) passkey.Key {
	t.Helper()
	key, err := d.enrol(t)
	if err != nil {
		t.Fatal(err)
	}
	d.device.AddCredential(d.key)
	return key
}

func (d *desk) request() (gatekeeper.Request, gatekeeper.Vote) {
	return gatekeeper.Request{ID: "req_1", State: gatekeeper.Pending, Digest: "d1", Environment: "production"},
		gatekeeper.Vote{Person: bob, Choice: gatekeeper.Approve, Via: "web", Proof: gatekeeper.StepUpPasskey}
}

func (d *desk) statement() gatekeeper.Statement {
	r, v := d.request()
	return gatekeeper.StatementOf("https://gatekeeper.example.com", r, v, d.now, "n1")
}

// sign is what the browser answers for a statement.
func (d *desk) sign(t *testing.T, s gatekeeper.Statement) []byte {
	t.Helper()
	options, err := d.BeginProof(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	d.key.Counter++
	return []byte(virtualwebauthn.CreateAssertionResponse(d.rp, d.device, d.key, *asked))
}

func TestEnrolAndProve(t *testing.T) {
	d := begin(t)
	key := d.mustEnrol(t)
	s := d.statement()
	e, err := d.FinishProof(t.Context(), s, d.sign(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Verify(); err != nil || got != s {
		t.Fatalf("%+v, %v", got, err)
	}
	keys, err := d.Of(t.Context(), "U0BOB")
	if err != nil || len(keys) != 1 || keys[0].ID() != key.ID() || keys[0].UsedAt.IsZero() || keys[0].Credential.Authenticator.SignCount != 1 {
		t.Errorf("%+v, %v", keys, err)
	}
	if strings.Contains(string(e.JSON()), "U0EVE") || !strings.Contains(e.Statement, `"person":"U0BOB"`) {
		t.Errorf("evidence: %s", e.JSON())
	}
}

// Without the person being verified by the key, nothing is enrolled and
// nothing is proven: a key left in a laptop is no person.
func TestUserVerificationIsRequired(t *testing.T) {
	d := begin(t)
	d.device.Options.UserNotVerified = true
	if _, err := d.enrol(t); gatekeeper.CodeOf(err) != gatekeeper.CodeAccessDenied {
		t.Fatalf("enrolled: %v", err)
	}
	d.device.Options.UserNotVerified = false
	d.mustEnrol(t)
	d.device.Options.UserNotVerified = true
	s := d.statement()
	if _, err := d.FinishProof(t.Context(), s, d.sign(t, s)); gatekeeper.CodeOf(err) != gatekeeper.CodeAccessDenied {
		t.Errorf("proven: %v", err)
	}
}

func TestProofsThatDoNotHold(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(*desk, *gatekeeper.Statement)
		code    gatekeeper.Code
	}{
		"another request": {func(_ *desk, s *gatekeeper.Statement) { s.Request = "req_2" }, gatekeeper.CodeAccessDenied},
		"another digest":  {func(_ *desk, s *gatekeeper.Statement) { s.Digest = "d2" }, gatekeeper.CodeAccessDenied},
		"a denial":        {func(_ *desk, s *gatekeeper.Statement) { s.Decision = gatekeeper.Deny }, gatekeeper.CodeAccessDenied},
		"another person":  {func(_ *desk, s *gatekeeper.Statement) { s.Person = "U0EVE" }, gatekeeper.CodeAccessDenied},
		"too late":        {func(d *desk, _ *gatekeeper.Statement) { d.now = d.now.Add(6 * time.Minute) }, gatekeeper.CodeExpired},
		"from the future": {func(d *desk, _ *gatekeeper.Statement) { d.now = d.now.Add(-2 * time.Minute) }, gatekeeper.CodeExpired},
		"revoked meanwhile": {func(d *desk, _ *gatekeeper.Statement) {
			if err := d.Revoke(context.Background(), "U0BOB", keyID(d), passkey.Self(bob), "lost"); err != nil {
				panic(err)
			}
		}, gatekeeper.CodeAccessDenied},
		"cannot be kept": {func(d *desk, _ *gatekeeper.Statement) {
			d.memory.broken = gatekeeper.Errorf(gatekeeper.CodeUnavailable, "disk full")
		}, gatekeeper.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			d := begin(t)
			d.mustEnrol(t)
			s := d.statement()
			answer := d.sign(t, s)
			c.arrange(d, &s)
			if _, err := d.FinishProof(t.Context(), s, answer); gatekeeper.CodeOf(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

func keyID(d *desk) string {
	keys, _ := d.Of(context.Background(), "U0BOB")
	return keys[0].ID()
}

// Another site may relay our challenge; its origin is signed.
func TestAnotherOrigin(t *testing.T) {
	d := begin(t)
	d.mustEnrol(t)
	d.rp.Origin = "https://gatekeeper.example.com.evil.io"
	s := d.statement()
	if _, err := d.FinishProof(t.Context(), s, d.sign(t, s)); gatekeeper.CodeOf(err) != gatekeeper.CodeAccessDenied {
		t.Errorf("got %v", err)
	}
}

// A counter that did not grow is the sign of a copy: the key ends, and the
// ledger says why.
func TestCopiedKey(t *testing.T) {
	d := begin(t)
	d.mustEnrol(t)
	d.key.Counter = 10
	s := d.statement()
	if _, err := d.FinishProof(t.Context(), s, d.sign(t, s)); err != nil {
		t.Fatal(err)
	}
	d.key.Counter = 4
	if _, err := d.FinishProof(t.Context(), s, d.sign(t, s)); gatekeeper.CodeOf(err) != gatekeeper.CodeAccessDenied {
		t.Fatalf("a copy passed: %v", err)
	}
	if keys, _ := d.Of(t.Context(), "U0BOB"); keys[0].Active() {
		t.Error("the key is still active")
	}
	want := []gatekeeper.EventType{gatekeeper.EventPasskeyEnrolled, gatekeeper.EventPasskeyRefused, gatekeeper.EventPasskeyRevoked}
	if got := d.memory.types(); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
}

func TestSignIn(t *testing.T) {
	d := begin(t)
	d.mustEnrol(t)
	sign := func() (string, error) {
		options, session, err := d.BeginSignIn()
		if err != nil {
			t.Fatal(err)
		}
		asked, err := virtualwebauthn.ParseAssertionOptions(string(options))
		if err != nil {
			t.Fatal(err)
		}
		d.key.Counter++
		return d.FinishSignIn(t.Context(), session, []byte(virtualwebauthn.CreateAssertionResponse(d.rp, d.device, d.key, *asked)))
	}
	if who, err := sign(); err != nil || who != "U0BOB" {
		t.Fatalf("%q, %v", who, err)
	}
	for _, handle := range []string{"U0EVE", "", "../U0BOB", "U0BOB/"} {
		d.device.Options.UserHandle = []byte(handle)
		if who, err := sign(); err == nil {
			t.Errorf("handle %q signed in as %q", handle, who)
		}
	}
}

func TestNewWantsAName(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1:8080", "https://[::1]", "", ":"} {
		if _, err := passkey.New(passkey.Options{URL: url, Store: &memory{}}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}

// story is a ledger with an enrolment and a proven vote.
func story(t *testing.T) (*desk, []gatekeeper.Event) {
	t.Helper()
	d := begin(t)
	d.mustEnrol(t)
	s := d.statement()
	e, err := d.FinishProof(t.Context(), s, d.sign(t, s))
	if err != nil {
		t.Fatal(err)
	}
	vote := gatekeeper.Event{Type: gatekeeper.EventVoteCounted, Request: "req_1", Actor: gatekeeper.Actor{Kind: "person", ID: "slack:U0BOB"},
		Data: map[string]any{"choice": "approve", "proof": "passkey", "digest": "d1", "evidence": e.JSON()}}
	return d, append(slices.Clone(d.memory.events), vote)
}

// check reads events as a verifier does: from their stored bytes.
func check(t *testing.T, events []gatekeeper.Event) error {
	t.Helper()
	var c passkey.Checker
	for _, e := range events {
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var read gatekeeper.Event
		if err := json.Unmarshal(body, &read); err != nil {
			t.Fatal(err)
		}
		if err := c.Check(read); err != nil {
			return err
		}
	}
	return nil
}

func TestChecker(t *testing.T) {
	_, events := story(t)
	if err := check(t, events); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*gatekeeper.Event){
		"other person":   func(e *gatekeeper.Event) { e.Actor.ID = "slack:U0EVE" },
		"other request":  func(e *gatekeeper.Event) { e.Request = "req_2" },
		"other choice":   func(e *gatekeeper.Event) { e.Data["choice"] = "deny" },
		"other content":  func(e *gatekeeper.Event) { e.Data["digest"] = "d2" },
		"other reason":   func(e *gatekeeper.Event) { e.Data["reason"] = "because" },
		"no evidence":    func(e *gatekeeper.Event) { delete(e.Data, "evidence") },
		"empty evidence": func(e *gatekeeper.Event) { e.Data["evidence"] = map[string]any{} },
	} {
		_, events := story(t)
		change(&events[len(events)-1])
		if check(t, events) == nil {
			t.Errorf("%s passes", name)
		}
	}
	if check(t, events[1:]) == nil {
		t.Error("a key that nobody enrolled passes")
	}
	d, events := story(t)
	if err := d.Revoke(t.Context(), "U0BOB", keyID(d), passkey.Self(bob), "lost"); err != nil {
		t.Fatal(err)
	}
	revoked := d.memory.events[len(d.memory.events)-1]
	if err := check(t, append(slices.Clone(events), revoked)); err != nil {
		t.Errorf("a vote before the revocation: %v", err)
	}
	if check(t, slices.Insert(slices.Clone(events), len(events)-1, revoked)) == nil {
		t.Error("a vote after the revocation passes")
	}
}

// A changed byte anywhere in what was stored of the assertion is found.
func TestEveryByteOfEvidenceCounts(t *testing.T) {
	_, events := story(t)
	vote := events[len(events)-1]
	raw := []byte(vote.Data["evidence"].(json.RawMessage))
	for i := range raw {
		changed := slices.Clone(raw)
		changed[i] ^= 1
		if !json.Valid(changed) {
			continue
		}
		e := vote
		e.Data = map[string]any{"choice": "approve", "proof": "passkey", "digest": "d1", "evidence": json.RawMessage(changed)}
		if check(t, append(slices.Clone(events[:len(events)-1]), e)) == nil {
			t.Fatalf("byte %d (%q) can be changed: %s", i, raw[i], changed)
		}
	}
}

func FuzzEvidence(f *testing.F) {
	f.Add([]byte(`{"type":"passkey","statement":"{}","public_key":"","assertion":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var e passkey.Evidence
		if json.Unmarshal(body, &e) != nil {
			return
		}
		if _, err := e.Verify(); err == nil {
			t.Errorf("made-up evidence holds: %s", body)
		}
	})
}

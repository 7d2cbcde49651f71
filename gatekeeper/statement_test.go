package gatekeeper

import (
	"bytes"
	"testing"
	"time"
)

func aStatement() (Statement, Request, Vote) {
	r := Request{ID: "req_1", Digest: "d1", Environment: "production", Workload: Workload{Repository: "acme/payments", SHA: "4f2c"}}
	v := Vote{Person: Person{Slack: "U0BOB"}, Choice: Approve, Reason: "ok"}
	return StatementOf("https://gk", r, v, time.Date(2026, 12, 1, 10, 0, 0, 5, time.UTC), "n1"), r, v
}

// Whatever a statement says is under the signature: each field changes the
// challenge.
func TestStatementCoversEachField(t *testing.T) {
	base, _, _ := aStatement()
	for name, change := range map[string]func(*Statement){
		"gatekeeper":  func(s *Statement) { s.Gatekeeper = "https://other" },
		"request":     func(s *Statement) { s.Request = "req_2" },
		"digest":      func(s *Statement) { s.Digest = "d2" },
		"environment": func(s *Statement) { s.Environment = "staging" },
		"repository":  func(s *Statement) { s.Repository = "acme/other" },
		"sha":         func(s *Statement) { s.SHA = "ffff" },
		"decision":    func(s *Statement) { s.Decision = Deny },
		"break glass": func(s *Statement) { s.BreakGlass = true },
		"reason":      func(s *Statement) { s.Reason = "" },
		"person":      func(s *Statement) { s.Person = "U0EVE" },
		"time":        func(s *Statement) { s.At = s.At.Add(time.Second) },
		"nonce":       func(s *Statement) { s.Nonce = "n2" },
	} {
		s := base
		change(&s)
		if bytes.Equal(s.Challenge(), base.Challenge()) {
			t.Errorf("%s is not covered", name)
		}
	}
	if !bytes.HasPrefix(base.Canonical(), []byte(`{"type":"gatekeeper.vote.v1","gatekeeper":"https://gk","request":"req_1"`)) {
		t.Errorf("canonical form: %s", base.Canonical())
	}
}

func TestStatementSays(t *testing.T) {
	s, r, v := aStatement()
	if !s.Says(r, v) {
		t.Fatal("it does not say what it was made of")
	}
	for name, change := range map[string]func(*Request, *Vote){
		"other request":  func(r *Request, _ *Vote) { r.ID = "req_2" },
		"other content":  func(r *Request, _ *Vote) { r.Digest = "d2" },
		"other person":   func(_ *Request, v *Vote) { v.Person.Slack = "U0EVE" },
		"other decision": func(_ *Request, v *Vote) { v.Choice = Deny },
		"other reason":   func(_ *Request, v *Vote) { v.Reason = "" },
		"break glass":    func(_ *Request, v *Vote) { v.BreakGlass = true },
	} {
		r, v := r, v
		change(&r, &v)
		if s.Says(r, v) {
			t.Errorf("%s passes", name)
		}
	}
	if (Statement{}).Says(Request{}, Vote{}) {
		t.Error("nothing said passes")
	}
}

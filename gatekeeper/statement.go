package gatekeeper

import (
	"crypto/sha256"
	"encoding/json"
	"time"
)

// statementType keeps a statement from being taken for anything else that
// somebody may once have signed.
const statementType = "gatekeeper.vote.v1"

// Statement is what a person puts their proof under when a rule wants one
// beyond the click (step_up): the request as an approval covers it, the
// decision, the person and the time. Its challenge is what a passkey signs.
// The zero Statement says nothing and is refused.
type Statement struct {
	Gatekeeper  string    `json:"gatekeeper"` // public URL: a proof for one gatekeeper is none for another
	Request     string    `json:"request"`
	Digest      string    `json:"digest"` // see ApprovalDigest
	Environment string    `json:"environment"`
	Repository  string    `json:"repository"`
	SHA         string    `json:"sha"`
	Decision    Choice    `json:"decision"`
	BreakGlass  bool      `json:"break_glass,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Person      string    `json:"person"` // immutable Slack user id
	At          time.Time `json:"at"`
	Nonce       string    `json:"nonce"` // so that no two statements have one challenge
}

// StatementOf is what v says about r.
func StatementOf(gatekeeper string, r Request, v Vote, at time.Time, nonce string) Statement {
	return Statement{
		Gatekeeper: gatekeeper, Request: r.ID, Digest: r.Digest, Environment: r.Environment,
		Repository: r.Workload.Repository, SHA: r.Workload.SHA,
		Decision: v.Choice, BreakGlass: v.BreakGlass, Reason: v.Reason, Person: v.Person.Slack, At: at.UTC().Truncate(time.Second), Nonce: nonce,
	}
}

// Canonical is the statement in its one spelling: JSON with the fields in
// their order, under a type of its own.
func (s Statement) Canonical() []byte {
	s.At = s.At.UTC()
	body, err := json.Marshal(struct {
		Type string `json:"type"`
		Statement
	}{statementType, s})
	if err != nil { // strings, a bool and a time of this millennium
		panic("gatekeeper: a statement has no JSON: " + err.Error())
	}
	return body
}

// Challenge is the SHA-256 of the canonical statement.
func (s Statement) Challenge() []byte {
	sum := sha256.Sum256(s.Canonical())
	return sum[:]
}

// Says tells whether the statement is about that vote on that request: what
// was shown and signed is what is being counted.
func (s Statement) Says(r Request, v Vote) bool {
	return s.Request == r.ID && s.Digest == r.Digest && r.Digest != "" &&
		s.Decision == v.Choice && s.BreakGlass == v.BreakGlass && s.Reason == v.Reason && s.Person == v.Person.Slack
}

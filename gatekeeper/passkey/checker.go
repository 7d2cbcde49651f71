package passkey

import (
	"encoding/json"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Checker goes through a ledger's events in order and checks every proof in
// them again: that the signature holds over what the vote says, and that its
// key was the person's at that time. It needs nothing but the events. Its
// zero value has seen none.
type Checker struct {
	// Part says that the events are only some of the ledger's: a key whose
	// enrolment is not among them is taken as its signature names it.
	Part bool

	keys map[string]enrolment // credential id → whose
}

type enrolment struct {
	person, publicKey string
	revoked           bool
}

// votedData is what a counted vote's event says.
type votedData struct {
	Choice   gatekeeper.Choice `json:"choice"`
	Reason   string            `json:"reason"`
	Glass    bool              `json:"break_glass"`
	Proof    gatekeeper.StepUp `json:"proof"`
	Digest   string            `json:"digest"`
	Evidence json.RawMessage   `json:"evidence"`
}

// Check takes the next event; an error says why it does not hold.
func (c *Checker) Check(e gatekeeper.Event) error {
	switch e.Type {
	case gatekeeper.EventPasskeyEnrolled:
		return c.enrolled(e)
	case gatekeeper.EventPasskeyRevoked:
		return c.revoked(e)
	case gatekeeper.EventVoteCounted:
		return c.voted(e)
	}
	return nil
}

func (c *Checker) enrolled(e gatekeeper.Event) error {
	id, _ := e.Data["credential_id"].(string)
	person, _ := e.Data["person"].(string)
	publicKey, _ := e.Data["public_key"].(string)
	if id == "" || person == "" || publicKey == "" {
		return wrong("the enrolment does not name its key and person")
	}
	if had, ok := c.keys[id]; ok && (had.person != person || had.publicKey != publicKey) {
		return wrong("passkey %s is enrolled twice, as another person's or with another public key", id)
	}
	if c.keys == nil {
		c.keys = map[string]enrolment{}
	}
	c.keys[id] = enrolment{person: person, publicKey: publicKey}
	return nil
}

func (c *Checker) revoked(e gatekeeper.Event) error {
	id, _ := e.Data["credential_id"].(string)
	key, ok := c.keys[id]
	if !ok && c.Part {
		return nil
	}
	if !ok {
		return wrong("passkey %s is revoked, and no event enrolled it", id)
	}
	key.revoked = true
	c.keys[id] = key
	return nil
}

// voted checks a vote that claims a passkey's proof. One that claims none may
// carry none.
func (c *Checker) voted(e gatekeeper.Event) error {
	var v votedData
	if body, err := json.Marshal(e.Data); err != nil || json.Unmarshal(body, &v) != nil {
		return wrong("the vote cannot be read")
	}
	if v.Proof != gatekeeper.StepUpPasskey {
		return nil
	}
	var proof Evidence
	if err := json.Unmarshal(v.Evidence, &proof); err != nil || proof.Type != gatekeeper.StepUpPasskey {
		return wrong("the vote claims a passkey's proof and carries none")
	}
	s, err := proof.Verify()
	if err != nil {
		return err
	}
	person := strings.TrimPrefix(e.Actor.ID, "slack:")
	said := gatekeeper.Vote{Person: gatekeeper.Person{Slack: person}, Choice: v.Choice, Reason: v.Reason, BreakGlass: v.Glass}
	if !s.Says(gatekeeper.Request{ID: e.Request, Digest: v.Digest}, said) {
		return wrong("what was signed is not what the vote says")
	}
	return c.theirs(proof, person)
}

func (c *Checker) theirs(proof Evidence, person string) error {
	a := proof.Assertion
	key, ok := c.keys[a.RawID]
	switch {
	case !ok && c.Part:
		return nil
	case !ok:
		return wrong("passkey %s signed, and no event before enrolled it", a.RawID)
	case key.person != person || key.publicKey != proof.PublicKey:
		return wrong("passkey %s signed, and it is not enrolled as the voter's with this public key", a.RawID)
	case key.revoked:
		return wrong("passkey %s signed after it was revoked", a.RawID)
	}
	return nil
}

func wrong(format string, args ...any) error {
	return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, format, args...)
}

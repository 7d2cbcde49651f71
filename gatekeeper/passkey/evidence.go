package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-webauthn/webauthn/protocol"
)

// Evidence is all that it takes to check a signature again, years later and
// without a server: what was signed, by which key, and the assertion. It
// holds no secret.
type Evidence struct {
	Type      gatekeeper.StepUp `json:"type"` // passkey
	RPID      string            `json:"rp_id"`
	Origin    string            `json:"origin"`
	Statement string            `json:"statement"`  // canonical; its SHA-256 is the challenge
	PublicKey string            `json:"public_key"` // COSE key, base64url
	Assertion Assertion         `json:"assertion"`
}

// Assertion is the part of the browser's answer that is signed or verified:
// WebAuthn's AuthenticationResponseJSON, all of it in base64url.
type Assertion struct {
	ID       string            `json:"id"`
	RawID    string            `json:"rawId"`
	Type     string            `json:"type"` // public-key
	Response AssertionResponse `json:"response"`
}

// AssertionResponse is what the authenticator signed, and its signature.
type AssertionResponse struct {
	AuthenticatorData string `json:"authenticatorData"`
	ClientDataJSON    string `json:"clientDataJSON"`
	Signature         string `json:"signature"`
}

func (k *Keys) evidence(s gatekeeper.Statement, publicKey []byte, p *protocol.ParsedCredentialAssertionData) (Evidence, error) {
	raw := p.Raw.AssertionResponse
	e := Evidence{gatekeeper.StepUpPasskey, k.rpID, k.origin, string(s.Canonical()), encode(publicKey), Assertion{
		encode(p.RawID), encode(p.RawID), "public-key", AssertionResponse{encode(raw.AuthenticatorData), encode(raw.ClientDataJSON), encode(raw.Signature)},
	}}
	_, err := e.Verify() // what cannot be checked later proves nothing now
	return e, err
}

// JSON is the evidence as a vote carries it.
func (e Evidence) JSON() json.RawMessage {
	body, err := json.Marshal(e)
	if err != nil { // strings
		panic("passkey: evidence has no JSON: " + err.Error())
	}
	return body
}

// Verify checks the signature over the statement, that its person was
// verified by the key, and that the statement is spelled canonically. It
// trusts the public key that stands in the evidence: a [Checker] knows whose
// it is.
func (e Evidence) Verify() (gatekeeper.Statement, error) {
	s, err := e.statement()
	if err != nil {
		return s, err
	}
	parsed, err := e.Assertion.parsed()
	if err != nil {
		return s, refused(err, "the assertion cannot be read")
	}
	publicKey, err := base64.RawURLEncoding.Strict().DecodeString(e.PublicKey)
	if err != nil {
		return s, refused(err, "the public key cannot be read")
	}
	err = parsed.Verify(encode(s.Challenge()), e.RPID, "", []string{e.Origin}, nil, nil,
		protocol.TopOriginExplicitVerificationMode, false, true, true, publicKey, protocol.SignaturePolicy{})
	if err != nil {
		return s, refused(err, "the signature does not hold for what is said to be signed")
	}
	return s, nil
}

func (a Assertion) parsed() (*protocol.ParsedCredentialAssertionData, error) {
	if err := a.strict(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return protocol.ParseCredentialRequestResponseBytes(body)
}

func (e Evidence) statement() (gatekeeper.Statement, error) {
	var s gatekeeper.Statement
	if err := json.Unmarshal([]byte(e.Statement), &s); err != nil {
		return s, refused(err, "the statement cannot be read")
	}
	if !bytes.Equal(s.Canonical(), []byte(e.Statement)) {
		return s, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the statement is not spelled canonically")
	}
	return s, nil
}

// strict wants each byte of the assertion to mean something: base64 with
// unused bits set could be changed unseen.
func (a Assertion) strict() error {
	ok := a.Type == "public-key" && a.ID == a.RawID
	for _, field := range []string{a.ID, a.Response.AuthenticatorData, a.Response.ClientDataJSON, a.Response.Signature} {
		_, err := base64.RawURLEncoding.Strict().DecodeString(field)
		ok = ok && err == nil
	}
	if !ok {
		return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the assertion is not spelled canonically")
	}
	return nil
}
